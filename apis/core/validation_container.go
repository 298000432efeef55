package core

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/pod"
)

// podScope is what validating one container needs to know of its pod.
type podScope struct {
	spec    *corev1.PodSpec
	volumes map[string]*corev1.Volume
	claims  sets.Set[string]
	opts    PodOptions
}

const sidecarOnly = "may not be set for init containers without restartPolicy=Always"

// container validates what containers of every list have in common.
func (s *podScope) container(fldPath *field.Path, c *corev1.Container) field.ErrorList {
	errs := named(fldPath.Child("name"), c.Name, validation.IsDNS1123Label)
	errs = append(errs, s.image(fldPath.Child("image"), c.Image)...)
	errs = append(errs, requiredOneOf(fldPath.Child("terminationMessagePolicy"), c.TerminationMessagePolicy,
		corev1.TerminationMessageReadFile, corev1.TerminationMessageFallbackToLogsOnError)...)
	errs = append(errs, containerPorts(fldPath.Child("ports"), c.Ports)...)
	errs = append(errs, env(fldPath.Child("env"), c.Env, s.volumes)...)
	errs = append(errs, envFrom(fldPath.Child("envFrom"), c.EnvFrom)...)
	errs = append(errs, s.volumeMounts(fldPath.Child("volumeMounts"), c)...)
	errs = append(errs, s.volumeDevices(fldPath.Child("volumeDevices"), c)...)
	errs = append(errs, requiredOneOf(fldPath.Child("imagePullPolicy"), c.ImagePullPolicy, corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)...)
	errs = append(errs, requirements(fldPath.Child("resources"), &c.Resources, s.claims, s.opts)...)
	errs = append(errs, resizePolicies(fldPath.Child("resizePolicy"), c.ResizePolicy, s.spec.RestartPolicy, c.RestartPolicy)...)
	return append(errs, s.securityContext(fldPath.Child("securityContext"), c.SecurityContext)...)
}

func (s *podScope) image(fldPath *field.Path, image string) field.ErrorList {
	errs := required(fldPath, image)
	if s.opts.ResourceIsPod && len(image) != len(strings.TrimSpace(image)) {
		errs = append(errs, field.Invalid(fldPath, image, "must not have leading or trailing whitespace"))
	}
	return errs
}

// containers validates the ordinary containers.
func (s *podScope) containers(fldPath *field.Path) field.ErrorList {
	if len(s.spec.Containers) == 0 {
		return field.ErrorList{field.Required(fldPath, "")}
	}
	var errs field.ErrorList
	names := sets.New[string]()
	for i := range s.spec.Containers {
		c, at := &s.spec.Containers[i], fldPath.Index(i)
		errs = append(errs, s.container(at, c)...)
		if names.Has(c.Name) {
			errs = append(errs, field.Duplicate(at.Child("name"), c.Name))
		}
		names.Insert(c.Name)
		errs = append(errs, lifecycle(at.Child("lifecycle"), c.Lifecycle, s.spec)...)
		errs = append(errs, probes(at, c)...)
		errs = append(errs, optionalOneOf(at.Child("restartPolicy"), c.RestartPolicy,
			corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyOnFailure, corev1.ContainerRestartPolicyNever)...)
		errs = append(errs, restartRules(at, c)...)
	}
	return append(errs, hostPortsOnce(fldPath, s.spec.Containers)...)
}

// initContainers validates the init containers, sidecars among them.
func (s *podScope) initContainers(fldPath *field.Path) field.ErrorList {
	var errs field.ErrorList
	names := sets.New[string]()
	for _, c := range s.spec.Containers {
		names.Insert(c.Name)
	}
	for i := range s.spec.InitContainers {
		c, at := &s.spec.InitContainers[i], fldPath.Index(i)
		errs = append(errs, s.container(at, c)...)
		if names.Has(c.Name) && c.Name != "" {
			errs = append(errs, field.Duplicate(at.Child("name"), c.Name))
		}
		names.Insert(c.Name)
		errs = append(errs, hostPortsOnce(fldPath, s.spec.InitContainers[i:i+1])...)
		errs = append(errs, optionalOneOf(at.Child("restartPolicy"), c.RestartPolicy,
			corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyOnFailure, corev1.ContainerRestartPolicyNever)...)
		errs = append(errs, restartRules(at, c)...)
		if pod.IsSidecar(c) {
			errs = append(errs, lifecycle(at.Child("lifecycle"), c.Lifecycle, s.spec)...)
			errs = append(errs, probes(at, c)...)
			continue
		}
		for _, f := range []struct {
			name string
			set  bool
		}{{"lifecycle", c.Lifecycle != nil}, {"livenessProbe", c.LivenessProbe != nil},
			{"readinessProbe", c.ReadinessProbe != nil}, {"startupProbe", c.StartupProbe != nil}} {
			if f.set {
				errs = append(errs, field.Forbidden(at.Child(f.name), sidecarOnly))
			}
		}
		if len(c.ResizePolicy) > 0 {
			errs = append(errs, field.Invalid(at.Child("resizePolicy"), c.ResizePolicy, "must not be set for init containers"))
		}
	}
	return errs
}

// maxRestartRules and maxExitCodes bound what a kubelet must look through.
const (
	maxRestartRules = 20
	maxExitCodes    = 255
)

func restartRules(fldPath *field.Path, c *corev1.Container) field.ErrorList {
	if len(c.RestartPolicyRules) == 0 {
		return nil
	}
	at := fldPath.Child("restartPolicyRules")
	var errs field.ErrorList
	if c.RestartPolicy == nil {
		errs = append(errs, field.Required(fldPath.Child("restartPolicy"), "must specify restartPolicy when restart rules are used"))
	}
	if len(c.RestartPolicyRules) > maxRestartRules {
		errs = append(errs, field.TooMany(at, len(c.RestartPolicyRules), maxRestartRules))
	}
	for i := range c.RestartPolicyRules {
		r, at := &c.RestartPolicyRules[i], at.Index(i)
		errs = append(errs, requiredOneOf(at.Child("action"), r.Action,
			corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleActionRestartAllContainers)...)
		e := r.ExitCodes
		if e == nil {
			errs = append(errs, field.Required(at.Child("exitCodes"), "must be specified"))
			continue
		}
		errs = append(errs, requiredOneOf(at.Child("exitCodes", "operator"), e.Operator,
			corev1.ContainerRestartRuleOnExitCodesOpIn, corev1.ContainerRestartRuleOnExitCodesOpNotIn)...)
		switch {
		case len(e.Values) == 0:
			errs = append(errs, field.Required(at.Child("exitCodes", "values"), "must specify at least one value"))
		case len(e.Values) > maxExitCodes:
			errs = append(errs, field.TooMany(at.Child("exitCodes", "values"), len(e.Values), maxExitCodes))
		}
	}
	return errs
}

func containerPorts(fldPath *field.Path, ports []corev1.ContainerPort) field.ErrorList {
	var errs field.ErrorList
	names := sets.New[string]()
	for i, p := range ports {
		at := fldPath.Index(i)
		if p.Name != "" {
			if msgs := validation.IsValidPortName(p.Name); len(msgs) > 0 {
				errs = append(errs, invalid(at.Child("name"), p.Name, msgs)...)
			} else if names.Has(p.Name) {
				errs = append(errs, field.Duplicate(at.Child("name"), p.Name))
			}
			names.Insert(p.Name)
		}
		if p.ContainerPort == 0 {
			errs = append(errs, field.Required(at.Child("containerPort"), ""))
		} else {
			errs = append(errs, invalid(at.Child("containerPort"), p.ContainerPort, validation.IsValidPortNum(int(p.ContainerPort)))...)
		}
		if p.HostPort != 0 {
			errs = append(errs, invalid(at.Child("hostPort"), p.HostPort, validation.IsValidPortNum(int(p.HostPort)))...)
		}
		errs = append(errs, requiredOneOf(at.Child("protocol"), p.Protocol, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)...)
	}
	return errs
}

// hostPortsOnce says that no port of the node is wanted twice.
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

func (s *podScope) volumeMounts(fldPath *field.Path, c *corev1.Container) field.ErrorList {
	var errs field.ErrorList
	paths := sets.New[string]()
	for i := range c.VolumeMounts {
		m, at := &c.VolumeMounts[i], fldPath.Index(i)
		switch {
		case m.Name == "":
			errs = append(errs, field.Required(at.Child("name"), ""))
		case s.volumes[m.Name] == nil:
			errs = append(errs, field.NotFound(at.Child("name"), m.Name))
		}
		errs = append(errs, required(at.Child("mountPath"), m.MountPath)...)
		if paths.Has(m.MountPath) {
			errs = append(errs, field.Invalid(at.Child("mountPath"), m.MountPath, "must be unique"))
		}
		paths.Insert(m.MountPath)
		for _, d := range c.VolumeDevices {
			if d.Name == m.Name {
				errs = append(errs, field.Invalid(at.Child("name"), m.Name, "must not already exist in volumeDevices"))
			}
			if d.DevicePath == m.MountPath {
				errs = append(errs, field.Invalid(at.Child("mountPath"), m.MountPath, "must not already exist as a path in volumeDevices"))
			}
		}
		if m.SubPath != "" {
			errs = append(errs, relativePath(at.Child("subPath"), m.SubPath)...)
		}
		if m.SubPathExpr != "" {
			if m.SubPath != "" {
				errs = append(errs, field.Invalid(at.Child("subPathExpr"), m.SubPathExpr, "subPathExpr and subPath are mutually exclusive"))
			}
			errs = append(errs, relativePath(at.Child("subPathExpr"), m.SubPathExpr)...)
		}
		errs = append(errs, mountPropagation(at.Child("mountPropagation"), m.MountPropagation, c)...)
		errs = append(errs, recursiveReadOnly(at.Child("recursiveReadOnly"), m)...)
	}
	return errs
}

func mountPropagation(fldPath *field.Path, p *corev1.MountPropagationMode, c *corev1.Container) field.ErrorList {
	errs := optionalOneOf(fldPath, p, corev1.MountPropagationBidirectional, corev1.MountPropagationHostToContainer, corev1.MountPropagationNone)
	privileged := c.SecurityContext != nil && c.SecurityContext.Privileged != nil && *c.SecurityContext.Privileged
	if p != nil && *p == corev1.MountPropagationBidirectional && !privileged {
		errs = append(errs, field.Forbidden(fldPath, "Bidirectional mount propagation is available only to privileged containers"))
	}
	return errs
}

func recursiveReadOnly(fldPath *field.Path, m *corev1.VolumeMount) field.ErrorList {
	if m.RecursiveReadOnly == nil || *m.RecursiveReadOnly == corev1.RecursiveReadOnlyDisabled {
		return nil
	}
	errs := optionalOneOf(fldPath, m.RecursiveReadOnly, corev1.RecursiveReadOnlyDisabled, corev1.RecursiveReadOnlyEnabled, corev1.RecursiveReadOnlyIfPossible)
	if len(errs) > 0 {
		return errs
	}
	if !m.ReadOnly {
		errs = append(errs, field.Forbidden(fldPath, "may only be specified when readOnly is true"))
	}
	if m.MountPropagation != nil && *m.MountPropagation != corev1.MountPropagationNone {
		errs = append(errs, field.Forbidden(fldPath, "may only be specified when mountPropagation is None or not specified"))
	}
	return errs
}

func (s *podScope) volumeDevices(fldPath *field.Path, c *corev1.Container) field.ErrorList {
	var errs field.ErrorList
	names, paths := sets.New[string](), sets.New[string]()
	for i, d := range c.VolumeDevices {
		at := fldPath.Index(i)
		v := s.volumes[d.Name]
		switch {
		case d.Name == "":
			errs = append(errs, field.Required(at.Child("name"), ""))
		case names.Has(d.Name):
			errs = append(errs, field.Invalid(at.Child("name"), d.Name, "must be unique"))
		}
		switch {
		case v == nil:
			if d.Name != "" {
				errs = append(errs, field.NotFound(at.Child("name"), d.Name))
			}
		case v.PersistentVolumeClaim == nil && v.Ephemeral == nil:
			errs = append(errs, field.Invalid(at.Child("name"), d.Name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"))
		}
		switch {
		case d.DevicePath == "":
			errs = append(errs, field.Required(at.Child("devicePath"), ""))
		case paths.Has(d.DevicePath):
			errs = append(errs, field.Invalid(at.Child("devicePath"), d.DevicePath, "must be unique"))
		default:
			errs = append(errs, noBacksteps(at.Child("devicePath"), d.DevicePath)...)
		}
		for _, m := range c.VolumeMounts {
			if m.MountPath == d.DevicePath && m.MountPath != "" {
				errs = append(errs, field.Invalid(at.Child("devicePath"), d.DevicePath, "must not already exist as a path in volumeMounts"))
			}
		}
		names.Insert(d.Name)
		paths.Insert(d.DevicePath)
	}
	return errs
}

// ephemeralContainers validates the containers that were added for debugging.
func (s *podScope) ephemeralContainers(fldPath *field.Path) field.ErrorList {
	var errs field.ErrorList
	others := sets.New[string]()
	for _, list := range [][]corev1.Container{s.spec.Containers, s.spec.InitContainers} {
		for i := range list {
			others.Insert(list[i].Name)
		}
	}
	names := others.Clone()
	for i := range s.spec.EphemeralContainers {
		e, at := &s.spec.EphemeralContainers[i], fldPath.Index(i)
		c := (*corev1.Container)(&e.EphemeralContainerCommon)
		errs = append(errs, s.container(at, c)...)
		if names.Has(c.Name) {
			errs = append(errs, field.Duplicate(at.Child("name"), c.Name))
		}
		names.Insert(c.Name)
		if e.TargetContainerName != "" && !others.Has(e.TargetContainerName) {
			errs = append(errs, field.NotFound(at.Child("targetContainerName"), e.TargetContainerName))
		}
		errs = append(errs, notEphemeral(at, c)...)
	}
	return errs
}

// notEphemeral says which fields an ephemeral container has only because it shares a type.
func notEphemeral(fldPath *field.Path, c *corev1.Container) field.ErrorList {
	var errs field.ErrorList
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"ports", len(c.Ports) > 0}, {"lifecycle", c.Lifecycle != nil}, {"livenessProbe", c.LivenessProbe != nil},
		{"readinessProbe", c.ReadinessProbe != nil}, {"startupProbe", c.StartupProbe != nil},
		{"resources", len(c.Resources.Limits)+len(c.Resources.Requests)+len(c.Resources.Claims) > 0},
		{"resizePolicy", len(c.ResizePolicy) > 0}, {"restartPolicy", c.RestartPolicy != nil}, {"restartPolicyRules", len(c.RestartPolicyRules) > 0},
	} {
		if f.set {
			errs = append(errs, field.Forbidden(fldPath.Child(f.name), "cannot be set for an Ephemeral Container"))
		}
	}
	for i, m := range c.VolumeMounts {
		if m.SubPath != "" {
			errs = append(errs, field.Forbidden(fldPath.Child("volumeMounts").Index(i).Child("subPath"), "cannot be set for an Ephemeral Container"))
		}
		if m.SubPathExpr != "" {
			errs = append(errs, field.Forbidden(fldPath.Child("volumeMounts").Index(i).Child("subPathExpr"), "cannot be set for an Ephemeral Container"))
		}
	}
	return errs
}
