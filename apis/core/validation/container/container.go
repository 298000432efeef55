package container

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apis/core/validation/options"
	"github.com/coracle-k8s/coracle/apis/core/validation/resources"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// Scope holds what the validation of one container needs of its pod.
type Scope struct {
	Spec    *corev1.PodSpec
	Volumes map[string]*corev1.Volume
	Claims  sets.Set[string]
	Options options.Pod
}

// container validates what containers of every list have in common.
func (s *Scope) container(fldPath *field.Path, c *corev1.Container) field.ErrorList {
	errs := check.Named(fldPath.Child("name"), c.Name, validation.IsDNS1123Label)
	errs = append(errs, check.Required(fldPath.Child("image"), c.Image)...)
	errs = append(errs, check.RequiredOneOf(fldPath.Child("terminationMessagePolicy"), c.TerminationMessagePolicy,
		corev1.TerminationMessageReadFile, corev1.TerminationMessageFallbackToLogsOnError)...)
	errs = append(errs, containerPorts(fldPath.Child("ports"), c.Ports)...)
	errs = append(errs, env(fldPath.Child("env"), c.Env)...)
	errs = append(errs, envFrom(fldPath.Child("envFrom"), c.EnvFrom)...)
	errs = append(errs, s.volumeMounts(fldPath.Child("volumeMounts"), c)...)
	errs = append(errs, s.volumeDevices(fldPath.Child("volumeDevices"), c)...)
	errs = append(errs, PullPolicy(fldPath.Child("imagePullPolicy"), c.ImagePullPolicy)...)
	errs = append(errs, resources.Requirements(fldPath.Child("resources"), &c.Resources, resources.ContainerName, s.Claims, s.Options.AllowIndivisibleHugePages)...)
	errs = append(errs, resizePolicies(fldPath.Child("resizePolicy"), c.ResizePolicy, s.Spec.RestartPolicy)...)
	return append(errs, s.securityContext(fldPath.Child("securityContext"), c.SecurityContext)...)
}

// PullPolicy validates when an image is pulled.
func PullPolicy(fldPath *field.Path, p corev1.PullPolicy) field.ErrorList {
	return check.RequiredOneOf(fldPath, p, corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)
}

// ImageSpaces validates what templates may still get wrong.
func ImageSpaces(fldPath *field.Path, image string) field.ErrorList {
	if image != strings.TrimSpace(image) {
		return field.ErrorList{field.Invalid(fldPath.Child("image"), image, "must not have leading or trailing whitespace")}
	}
	return nil
}

// Containers validates the ordinary containers.
func (s *Scope) Containers(fldPath *field.Path) field.ErrorList {
	if len(s.Spec.Containers) == 0 {
		return field.ErrorList{field.Required(fldPath, "")}
	}
	var errs field.ErrorList
	names := sets.New[string]()
	for i := range s.Spec.Containers {
		c, at := &s.Spec.Containers[i], fldPath.Index(i)
		errs = append(errs, s.container(at, c)...)
		if names.Has(c.Name) {
			errs = append(errs, field.Duplicate(at.Child("name"), c.Name))
		}
		names.Insert(c.Name)
		errs = append(errs, lifecycle(at.Child("lifecycle"), c.Lifecycle, s.Spec)...)
		errs = append(errs, probes(at, c)...)
		errs = append(errs, containerRestarts(at, c, false)...)
	}
	return append(errs, hostPortsOnce(fldPath, s.Spec.Containers)...)
}

// InitContainers validates the init containers, sidecars among them. A host port
// that one of them wants twice is reported as the first one's, as upstream does.
func (s *Scope) InitContainers(fldPath *field.Path) field.ErrorList {
	var errs field.ErrorList
	names := sets.New[string]()
	for _, c := range s.Spec.Containers {
		names.Insert(c.Name)
	}
	for i := range s.Spec.InitContainers {
		c, at := &s.Spec.InitContainers[i], fldPath.Index(i)
		errs = append(errs, s.container(at, c)...)
		errs = append(errs, containerRestarts(at, c, true)...)
		switch {
		case names.Has(c.Name):
			errs = append(errs, field.Duplicate(at.Child("name"), c.Name))
		case c.Name != "":
			names.Insert(c.Name)
		}
		errs = append(errs, hostPortsOnce(fldPath, s.Spec.InitContainers[i:i+1])...)
		if pod.IsSidecar(c) {
			errs = append(errs, lifecycle(at.Child("lifecycle"), c.Lifecycle, s.Spec)...)
			errs = append(errs, probes(at, c)...)
		} else {
			errs = append(errs, s.endingContainer(at, c)...)
		}
	}
	return errs
}

// endingContainer validates an init container that is no sidecar.
func (s *Scope) endingContainer(fldPath *field.Path, c *corev1.Container) field.ErrorList {
	errs := check.Forbid("may not be set for init containers without restartPolicy=Always",
		check.Given(fldPath.Child("lifecycle"), c.Lifecycle != nil), check.Given(fldPath.Child("livenessProbe"), c.LivenessProbe != nil),
		check.Given(fldPath.Child("readinessProbe"), c.ReadinessProbe != nil), check.Given(fldPath.Child("startupProbe"), c.StartupProbe != nil))
	if s.Options.AllowRestartingInitResize {
		return errs
	}
	for j, p := range c.ResizePolicy {
		if p.RestartPolicy == corev1.RestartContainer {
			errs = append(errs, field.Invalid(fldPath.Child("resizePolicy").Index(j).Child("restartPolicy"), p.RestartPolicy,
				"must not be set to 'RestartContainer' for non-sidecar initContainers"))
		}
	}
	return errs
}

// maxRestartRules and maxExitCodes bound what a kubelet must look through.
const (
	maxRestartRules = 20
	maxExitCodes    = 255
)

// containerRestarts validates the container's own restart policy and its rules.
// Of an init container without a policy the rules do not matter.
func containerRestarts(fldPath *field.Path, c *corev1.Container, ending bool) field.ErrorList {
	at := fldPath.Child("restartPolicy")
	var errs field.ErrorList
	switch {
	case c.RestartPolicy != nil:
		errs = check.OneOf(at, *c.RestartPolicy, corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyNever, corev1.ContainerRestartPolicyOnFailure)
	case len(c.RestartPolicyRules) == 0:
		return nil
	default:
		errs = field.ErrorList{field.Required(at, "must specify restartPolicy when restart rules are used")}
		if ending {
			return errs
		}
	}
	return append(errs, restartRules(fldPath.Child("restartPolicyRules"), c.RestartPolicyRules)...)
}

func restartRules(fldPath *field.Path, list []corev1.ContainerRestartRule) field.ErrorList {
	var errs field.ErrorList
	if len(list) > maxRestartRules {
		errs = append(errs, field.TooMany(fldPath, len(list), maxRestartRules))
	}
	for i := range list {
		r, at := &list[i], fldPath.Index(i)
		errs = append(errs, check.OneOf(at.Child("action"), r.Action,
			corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleActionRestartAllContainers)...)
		e := r.ExitCodes
		if e == nil {
			errs = append(errs, field.Required(at.Child("exitCodes"), "must be specified"))
			continue
		}
		errs = append(errs, check.OneOf(at.Child("exitCodes", "operator"), e.Operator,
			corev1.ContainerRestartRuleOnExitCodesOpIn, corev1.ContainerRestartRuleOnExitCodesOpNotIn)...)
		if len(e.Values) > maxExitCodes {
			errs = append(errs, field.TooMany(at.Child("exitCodes", "values"), len(e.Values), maxExitCodes))
		}
	}
	return errs
}

// PortProtocol validates the protocol of a port.
func PortProtocol(fldPath *field.Path, p corev1.Protocol) field.ErrorList {
	return check.RequiredOneOf(fldPath, p, corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP)
}

func containerPorts(fldPath *field.Path, ports []corev1.ContainerPort) field.ErrorList {
	var errs field.ErrorList
	names := sets.New[string]()
	for i, p := range ports {
		at := fldPath.Index(i)
		if p.Name != "" {
			if msgs := validation.IsValidPortName(p.Name); len(msgs) > 0 {
				errs = append(errs, check.Invalid(at.Child("name"), p.Name, msgs)...)
			} else if names.Has(p.Name) {
				errs = append(errs, field.Duplicate(at.Child("name"), p.Name))
			} else {
				names.Insert(p.Name)
			}
		}
		if p.ContainerPort == 0 {
			errs = append(errs, field.Required(at.Child("containerPort"), ""))
		} else {
			errs = append(errs, check.Invalid(at.Child("containerPort"), p.ContainerPort, validation.IsValidPortNum(int(p.ContainerPort)))...)
		}
		if p.HostPort != 0 {
			errs = append(errs, check.Invalid(at.Child("hostPort"), p.HostPort, validation.IsValidPortNum(int(p.HostPort)))...)
		}
		errs = append(errs, PortProtocol(at.Child("protocol"), p.Protocol)...)
	}
	return errs
}

// hostPortsOnce validates that no port of the node is wanted twice.
func hostPortsOnce(fldPath *field.Path, list []corev1.Container) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i := range list {
		for j, p := range list[i].Ports {
			if p.HostPort == 0 {
				continue
			}
			key := fmt.Sprintf("%s/%s/%d", p.Protocol, p.HostIP, p.HostPort)
			if seen.Has(key) {
				errs = append(errs, field.Duplicate(fldPath.Index(i).Child("ports").Index(j).Child("hostPort"), key))
			}
			seen.Insert(key)
		}
	}
	return errs
}

// ephemeralFields are those that a container for debugging may have; the others
// it has only because it shares a type.
var ephemeralFields = []string{"Name", "Image", "Command", "Args", "WorkingDir", "EnvFrom", "Env", "VolumeMounts", "VolumeDevices",
	"TerminationMessagePath", "TerminationMessagePolicy", "ImagePullPolicy", "SecurityContext", "Stdin", "StdinOnce", "TTY"}

// EphemeralContainers validates the containers that were added for debugging.
func (s *Scope) EphemeralContainers(fldPath *field.Path) field.ErrorList {
	const why = "cannot be set for an Ephemeral Container"
	var errs field.ErrorList
	others := sets.New[string]()
	for _, list := range [][]corev1.Container{s.Spec.Containers, s.Spec.InitContainers} {
		for i := range list {
			others.Insert(list[i].Name)
		}
	}
	names := others.Clone()
	for i := range s.Spec.EphemeralContainers {
		e, at := &s.Spec.EphemeralContainers[i], fldPath.Index(i)
		c := (*corev1.Container)(&e.EphemeralContainerCommon)
		errs = append(errs, s.container(at, c)...)
		errs = append(errs, ImageSpaces(at, c.Image)...)
		if names.Has(c.Name) {
			errs = append(errs, field.Duplicate(at.Child("name"), c.Name))
		}
		names.Insert(c.Name)
		if e.TargetContainerName != "" && !others.Has(e.TargetContainerName) {
			errs = append(errs, field.NotFound(at.Child("targetContainerName"), e.TargetContainerName))
		}
		errs = append(errs, check.OnlyFields(at, e.EphemeralContainerCommon, why, ephemeralFields...)...)
		for j, m := range c.VolumeMounts {
			at := at.Child("volumeMounts").Index(j)
			errs = append(errs, check.Forbid(why, check.Given(at.Child("subPath"), m.SubPath != ""), check.Given(at.Child("subPathExpr"), m.SubPathExpr != ""))...)
		}
	}
	return errs
}
