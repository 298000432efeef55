package container

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/component-helpers/node/util/sysctl"

	"github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apis/hub"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// maxAppArmorProfile is the length of a profile's name, in bytes (PATH_MAX).
const maxAppArmorProfile = 4095

// SysAdmin is the capability that allows what root may do.
const SysAdmin = "CAP_SYS_ADMIN"

// securityContext validates the security context of one container.
func (s *Scope) securityContext(fldPath *field.Path, sc *corev1.SecurityContext) field.ErrorList {
	if sc == nil {
		return nil
	}
	errs := check.UserID(fldPath.Child("runAsUser"), sc.RunAsUser)
	errs = append(errs, check.GroupID(fldPath.Child("runAsGroup"), sc.RunAsGroup)...)
	if sc.ProcMount != nil {
		errs = append(errs, check.OneOf(fldPath.Child("procMount"), *sc.ProcMount, corev1.DefaultProcMount, corev1.UnmaskedProcMount)...)
		if (s.Spec.HostUsers == nil || *s.Spec.HostUsers) && *sc.ProcMount == corev1.UnmaskedProcMount {
			errs = append(errs, field.Invalid(fldPath.Child("procMount"), *sc.ProcMount, "`hostUsers` must be false to use `Unmasked`"))
		}
	}
	errs = append(errs, seccomp(fldPath.Child("seccompProfile"), sc.SeccompProfile)...)
	if ape := sc.AllowPrivilegeEscalation; ape != nil && !*ape {
		if sc.Privileged != nil && *sc.Privileged {
			errs = append(errs, field.Invalid(fldPath, hub.Internal(sc), "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
		}
		if !s.Options.AllowSysAdmin && sc.Capabilities != nil && slices.Contains(sc.Capabilities.Add, SysAdmin) {
			errs = append(errs, field.Invalid(fldPath, hub.Internal(sc), "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"))
		}
	}
	errs = append(errs, windowsOptions(fldPath.Child("windowsOptions"), sc.WindowsOptions)...)
	return append(errs, AppArmor(fldPath.Child("appArmorProfile"), sc.AppArmorProfile)...)
}

func seccomp(fldPath *field.Path, p *corev1.SeccompProfile) field.ErrorList {
	if p == nil {
		return nil
	}
	var errs field.ErrorList
	if p.Type == "" {
		errs = append(errs, field.Required(fldPath.Child("type"), "type is required when seccompProfile is set"))
	} else {
		errs = check.OneOf(fldPath.Child("type"), p.Type, corev1.SeccompProfileTypeLocalhost, corev1.SeccompProfileTypeRuntimeDefault, corev1.SeccompProfileTypeUnconfined)
	}
	at := fldPath.Child("localhostProfile")
	switch {
	case p.Type == corev1.SeccompProfileTypeLocalhost && p.LocalhostProfile == nil:
		errs = append(errs, field.Required(at, "must be set when seccomp type is Localhost"))
	case p.Type == corev1.SeccompProfileTypeLocalhost:
		errs = append(errs, check.RelativePath(at, *p.LocalhostProfile)...)
	case p.LocalhostProfile != nil:
		errs = append(errs, field.Invalid(at, hub.Internal(p), "can only be set when seccomp type is Localhost"))
	}
	return errs
}

// AppArmor validates an AppArmor profile; nil is valid.
func AppArmor(fldPath *field.Path, p *corev1.AppArmorProfile) field.ErrorList {
	if p == nil {
		return nil
	}
	at := fldPath.Child("localhostProfile")
	switch p.Type {
	case "":
		return field.ErrorList{field.Required(fldPath.Child("type"), "type is required when appArmorProfile is set")}
	case corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined:
		if p.LocalhostProfile != nil {
			return field.ErrorList{field.Invalid(at, *p.LocalhostProfile, "can only be set when AppArmor type is Localhost")}
		}
		return nil
	case corev1.AppArmorProfileTypeLocalhost:
		return appArmorFile(at, p.LocalhostProfile)
	}
	return check.OneOf(fldPath.Child("type"), p.Type, corev1.AppArmorProfileTypeLocalhost, corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined)
}

func appArmorFile(fldPath *field.Path, name *string) field.ErrorList {
	const must = "must be set when AppArmor type is Localhost"
	if name == nil {
		return field.ErrorList{field.Required(fldPath, must)}
	}
	var errs field.ErrorList
	switch strings.TrimSpace(*name) {
	default:
		errs = append(errs, field.Invalid(fldPath, *name, "must not be padded with whitespace"))
	case *name:
		if *name == "" {
			errs = append(errs, field.Required(fldPath, must))
		}
	}
	if len(*name) > maxAppArmorProfile {
		errs = append(errs, field.TooLong(fldPath, *name, maxAppArmorProfile))
	}
	return errs
}

// PodSecurity validates the security context of the pod.
func (s *Scope) PodSecurity(fldPath *field.Path) field.ErrorList {
	sc := s.Spec.SecurityContext
	if sc == nil {
		return nil
	}
	errs := check.GroupID(fldPath.Child("fsGroup"), sc.FSGroup)
	errs = append(errs, check.UserID(fldPath.Child("runAsUser"), sc.RunAsUser)...)
	errs = append(errs, check.GroupID(fldPath.Child("runAsGroup"), sc.RunAsGroup)...)
	for i := range sc.SupplementalGroups {
		errs = append(errs, check.GroupID(fldPath.Child("supplementalGroups").Index(i), &sc.SupplementalGroups[i])...)
	}
	errs = append(errs, s.sysctls(fldPath.Child("sysctls"), sc.Sysctls)...)
	errs = append(errs, check.OptionalOneOf(fldPath.Child("fsGroupChangePolicy"), sc.FSGroupChangePolicy, corev1.FSGroupChangeAlways, corev1.FSGroupChangeOnRootMismatch)...)
	errs = append(errs, seccomp(fldPath.Child("seccompProfile"), sc.SeccompProfile)...)
	errs = append(errs, windowsOptions(fldPath.Child("windowsOptions"), sc.WindowsOptions)...)
	errs = append(errs, AppArmor(fldPath.Child("appArmorProfile"), sc.AppArmorProfile)...)
	errs = append(errs, check.OptionalOneOf(fldPath.Child("supplementalGroupsPolicy"), sc.SupplementalGroupsPolicy, corev1.SupplementalGroupsPolicyMerge, corev1.SupplementalGroupsPolicyStrict)...)
	return append(errs, check.OptionalOneOf(fldPath.Child("seLinuxChangePolicy"), sc.SELinuxChangePolicy, corev1.SELinuxChangePolicyMountOption, corev1.SELinuxChangePolicyRecursive)...)
}

// HostNetworkPorts validates that on the node's network a container's port is the node's.
func (s *Scope) HostNetworkPorts(fldPath *field.Path) field.ErrorList {
	if !s.Spec.HostNetwork {
		return nil
	}
	var errs field.ErrorList
	for i, c := range s.Spec.Containers {
		for j, p := range c.Ports {
			if p.HostPort != p.ContainerPort && (s.Options.ResourceIsPod || p.HostPort != 0) {
				errs = append(errs, field.Invalid(fldPath.Index(i).Child("ports").Index(j).Child("hostPort"), p.HostPort,
					"must match `containerPort` when `hostNetwork` is true"))
			}
		}
	}
	return errs
}

// OwnUsers refuses what a pod with users of its own cannot share with its node.
// Two fields are written as upstream's messages have them.
func (s *Scope) OwnUsers(spec *field.Path) field.ErrorList {
	const why = "when `hostUsers` is false"
	p := s.Spec
	if p.HostUsers == nil || *p.HostUsers {
		return nil
	}
	errs := check.Forbid(why, check.Given(spec.Child("hostNetwork"), p.HostNetwork), check.Given(spec.Child("HostPID"), p.HostPID), check.Given(spec.Child("HostIPC"), p.HostIPC))
	if s.Options.AllowHostUsersDevices {
		return errs
	}
	pod.VisitContainersWithPath(s.Spec, spec, func(at *field.Path, c *corev1.Container) {
		errs = append(errs, check.Forbid(why, check.Given(at.Child("volumeDevices"), len(c.VolumeDevices) > 0))...)
	})
	return errs
}

const (
	sysctlFormat = `([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?`
	maxSysctl    = 253
)

func (s *Scope) sysctls(fldPath *field.Path, list []corev1.Sysctl) field.ErrorList {
	var errs field.ErrorList
	names := sets.New[string]()
	for i, c := range list {
		at := fldPath.Index(i).Child("name")
		switch {
		case c.Name == "":
			errs = append(errs, field.Required(at, ""))
		case !isSysctl(c.Name):
			errs = append(errs, field.Invalid(at, c.Name, fmt.Sprintf("must have at most %d characters and match regex %s", maxSysctl, "^"+sysctlFormat+"$")))
		case names.Has(c.Name):
			errs = append(errs, field.Duplicate(at, c.Name))
		}
		if !s.Options.AllowHostSysctls {
			errs = append(errs, HostSysctl(at, c.Name, s.Spec)...)
		}
		names.Insert(c.Name)
	}
	return errs
}

// HostSysctl validates that a pod does not set what is its node's.
func HostSysctl(fldPath *field.Path, name string, spec *corev1.PodSpec) field.ErrorList {
	switch namespace, _, _ := sysctl.GetNamespace(name); {
	case spec.HostNetwork && namespace == sysctl.NetNamespace:
		return field.ErrorList{field.Invalid(fldPath, name, "may not be specified when 'hostNetwork' is true")}
	case spec.HostIPC && namespace == sysctl.IPCNamespace:
		return field.ErrorList{field.Invalid(fldPath, name, "may not be specified when 'hostIPC' is true")}
	}
	return nil
}

func isSysctl(name string) bool {
	ok, _ := regexp.MatchString("^"+sysctlFormat+"$", name) // the format is constant and compiles
	return ok && len(name) <= maxSysctl
}
