package core

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/component-helpers/node/util/sysctl"
)

// maxAppArmorProfile is the length of a profile's name, in bytes (PATH_MAX).
const maxAppArmorProfile = 4095

// securityContext validates the security context of one container.
func (s *podScope) securityContext(fldPath *field.Path, sc *corev1.SecurityContext) field.ErrorList {
	if sc == nil {
		return nil
	}
	errs := userID(fldPath.Child("runAsUser"), sc.RunAsUser)
	errs = append(errs, groupID(fldPath.Child("runAsGroup"), sc.RunAsGroup)...)
	if sc.ProcMount != nil {
		errs = append(errs, oneOf(fldPath.Child("procMount"), *sc.ProcMount, corev1.DefaultProcMount, corev1.UnmaskedProcMount)...)
		if (s.spec.HostUsers == nil || *s.spec.HostUsers) && *sc.ProcMount == corev1.UnmaskedProcMount {
			errs = append(errs, field.Invalid(fldPath.Child("procMount"), *sc.ProcMount, "`hostUsers` must be false to use `Unmasked`"))
		}
	}
	errs = append(errs, seccomp(fldPath.Child("seccompProfile"), sc.SeccompProfile)...)
	errs = append(errs, appArmor(fldPath.Child("appArmorProfile"), sc.AppArmorProfile)...)
	errs = append(errs, windowsOptions(fldPath.Child("windowsOptions"), sc.WindowsOptions)...)
	if ape := sc.AllowPrivilegeEscalation; ape != nil && !*ape {
		if sc.Privileged != nil && *sc.Privileged {
			errs = append(errs, field.Invalid(fldPath, sc, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
		}
		if sc.Capabilities != nil && slices.Contains(sc.Capabilities.Add, "CAP_SYS_ADMIN") {
			errs = append(errs, field.Invalid(fldPath, sc, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"))
		}
	}
	return errs
}

func seccomp(fldPath *field.Path, p *corev1.SeccompProfile) field.ErrorList {
	if p == nil {
		return nil
	}
	if p.Type == "" {
		return field.ErrorList{field.Required(fldPath.Child("type"), "type is required when seccompProfile is set")}
	}
	errs := oneOf(fldPath.Child("type"), p.Type, corev1.SeccompProfileTypeLocalhost, corev1.SeccompProfileTypeRuntimeDefault, corev1.SeccompProfileTypeUnconfined)
	at := fldPath.Child("localhostProfile")
	switch {
	case p.Type == corev1.SeccompProfileTypeLocalhost && p.LocalhostProfile == nil:
		errs = append(errs, field.Required(at, "must be set when seccomp type is Localhost"))
	case p.Type == corev1.SeccompProfileTypeLocalhost:
		errs = append(errs, relativePath(at, *p.LocalhostProfile)...)
	case p.LocalhostProfile != nil:
		errs = append(errs, field.Invalid(at, *p.LocalhostProfile, "can only be set when seccomp type is Localhost"))
	}
	return errs
}

func appArmor(fldPath *field.Path, p *corev1.AppArmorProfile) field.ErrorList {
	if p == nil {
		return nil
	}
	errs := requiredOneOf(fldPath.Child("type"), p.Type, corev1.AppArmorProfileTypeLocalhost, corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined)
	at := fldPath.Child("localhostProfile")
	if p.Type != corev1.AppArmorProfileTypeLocalhost {
		if p.LocalhostProfile != nil {
			errs = append(errs, field.Invalid(at, *p.LocalhostProfile, "can only be set when AppArmor type is Localhost"))
		}
		return errs
	}
	switch {
	case p.LocalhostProfile == nil:
		errs = append(errs, field.Required(at, "must be set when AppArmor type is Localhost"))
	case strings.TrimSpace(*p.LocalhostProfile) == "":
		errs = append(errs, field.Required(at, "must be set when AppArmor type is Localhost"))
	case strings.TrimSpace(*p.LocalhostProfile) != *p.LocalhostProfile:
		errs = append(errs, field.Invalid(at, *p.LocalhostProfile, "must not be padded with whitespace"))
	case len(*p.LocalhostProfile) > maxAppArmorProfile:
		errs = append(errs, field.TooLong(at, *p.LocalhostProfile, maxAppArmorProfile))
	}
	return errs
}

// Limits of Windows' own: see "GMSA" and "user name" in the docs of
// WindowsSecurityContextOptions.
const (
	maxCredentialSpec = 64 * 1024
	maxWindowsUser    = 20
	maxWindowsDomain  = 256
)

func windowsOptions(fldPath *field.Path, w *corev1.WindowsSecurityContextOptions) field.ErrorList {
	if w == nil {
		return nil
	}
	var errs field.ErrorList
	if n := w.GMSACredentialSpecName; n != nil {
		errs = append(errs, invalid(fldPath.Child("gmsaCredentialSpecName"), *n, validation.IsDNS1123Subdomain(*n))...)
	}
	if spec := w.GMSACredentialSpec; spec != nil {
		if *spec == "" {
			errs = append(errs, field.Invalid(fldPath.Child("gmsaCredentialSpec"), *spec, "gmsaCredentialSpec cannot be an empty string"))
		} else if len(*spec) > maxCredentialSpec {
			errs = append(errs, field.Invalid(fldPath.Child("gmsaCredentialSpec"), *spec, "gmsaCredentialSpec size must be under 64 KiB"))
		}
	}
	if w.RunAsUserName == nil {
		return errs
	}
	at, name := fldPath.Child("runAsUserName"), *w.RunAsUserName
	bad := func(msg string) { errs = append(errs, field.Invalid(at, name, msg)) }
	domain, user, split := strings.Cut(name, `\`)
	switch {
	case name == "":
		bad("runAsUserName cannot be an empty string")
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		bad("runAsUserName cannot contain control characters")
	case strings.Count(name, `\`) > 1:
		bad(`runAsUserName cannot contain more than one backslash`)
	case split && (domain == "" || len(domain) >= maxWindowsDomain):
		bad(fmt.Sprintf("runAsUserName's Domain length must be under %d characters", maxWindowsDomain))
	case split && (user == "" || len(user) > maxWindowsUser):
		bad(fmt.Sprintf("runAsUserName's User length must not be longer than %d characters", maxWindowsUser))
	case strings.ContainsAny(user, `"/\[]:;|=,+*?<>@`):
		bad("runAsUserName's User contains invalid characters")
	}
	return errs
}

// podSecurity validates the security context of the pod and what it means
// together with the namespaces that the pod shares with its node.
func (s *podScope) podSecurity(spec *field.Path) field.ErrorList {
	errs := s.hostNamespaces(spec)
	sc := s.spec.SecurityContext
	if sc == nil {
		return errs
	}
	fldPath := spec.Child("securityContext")
	errs = append(errs, groupID(fldPath.Child("fsGroup"), sc.FSGroup)...)
	errs = append(errs, userID(fldPath.Child("runAsUser"), sc.RunAsUser)...)
	errs = append(errs, groupID(fldPath.Child("runAsGroup"), sc.RunAsGroup)...)
	for i := range sc.SupplementalGroups {
		errs = append(errs, groupID(fldPath.Child("supplementalGroups").Index(i), &sc.SupplementalGroups[i])...)
	}
	errs = append(errs, s.sysctls(fldPath.Child("sysctls"), sc.Sysctls)...)
	errs = append(errs, optionalOneOf(fldPath.Child("fsGroupChangePolicy"), sc.FSGroupChangePolicy, corev1.FSGroupChangeAlways, corev1.FSGroupChangeOnRootMismatch)...)
	errs = append(errs, optionalOneOf(fldPath.Child("supplementalGroupsPolicy"), sc.SupplementalGroupsPolicy, corev1.SupplementalGroupsPolicyMerge, corev1.SupplementalGroupsPolicyStrict)...)
	errs = append(errs, optionalOneOf(fldPath.Child("seLinuxChangePolicy"), sc.SELinuxChangePolicy, corev1.SELinuxChangePolicyMountOption, corev1.SELinuxChangePolicyRecursive)...)
	errs = append(errs, seccomp(fldPath.Child("seccompProfile"), sc.SeccompProfile)...)
	errs = append(errs, appArmor(fldPath.Child("appArmorProfile"), sc.AppArmorProfile)...)
	return append(errs, windowsOptions(fldPath.Child("windowsOptions"), sc.WindowsOptions)...)
}

func (s *podScope) hostNamespaces(spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	p := s.spec
	if p.HostNetwork {
		s.everyContainer(spec, func(at *field.Path, c *corev1.Container) {
			for i, port := range c.Ports {
				if port.HostPort != port.ContainerPort && (s.opts.ResourceIsPod || port.HostPort != 0) {
					errs = append(errs, field.Invalid(at.Child("ports").Index(i).Child("containerPort"), port.ContainerPort, "must match `hostPort` when `hostNetwork` is true"))
				}
			}
		})
	}
	if p.ShareProcessNamespace != nil && *p.ShareProcessNamespace && p.HostPID {
		errs = append(errs, field.Invalid(spec.Child("shareProcessNamespace"), *p.ShareProcessNamespace, "ShareProcessNamespace and HostPID cannot both be enabled"))
	}
	if p.HostUsers == nil || *p.HostUsers {
		return errs
	}
	for _, f := range []struct {
		name string
		set  bool
	}{{"hostNetwork", p.HostNetwork}, {"hostPID", p.HostPID}, {"hostIPC", p.HostIPC}} {
		if f.set {
			errs = append(errs, field.Forbidden(spec.Child(f.name), "when `hostUsers` is false"))
		}
	}
	for i := range p.Containers {
		for j := range p.Containers[i].VolumeDevices {
			errs = append(errs, field.Forbidden(spec.Child("containers").Index(i).Child("volumeDevices").Index(j), "volumeDevices are not supported when `hostUsers` is false"))
		}
	}
	return errs
}

const (
	sysctlFormat = `([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?`
	maxSysctl    = 253
)

func (s *podScope) sysctls(fldPath *field.Path, list []corev1.Sysctl) field.ErrorList {
	var errs field.ErrorList
	names := sets.New[string]()
	for i, c := range list {
		at := fldPath.Index(i).Child("name")
		name := sysctl.NormalizeName(c.Name)
		switch {
		case c.Name == "":
			errs = append(errs, field.Required(at, ""))
		case !isSysctl(c.Name):
			errs = append(errs, field.Invalid(at, c.Name, fmt.Sprintf("must have at most %d characters and match regex %s", maxSysctl, "^"+sysctlFormat+"$")))
		case names.Has(name):
			errs = append(errs, field.Duplicate(at, name))
		}
		names.Insert(name)
		if s.spec.HostNetwork && strings.HasPrefix(name, "net.") {
			errs = append(errs, field.Invalid(at, c.Name, "may not be specified when 'hostNetwork' is true"))
		}
		if s.spec.HostIPC && (strings.HasPrefix(name, "kernel.shm") || strings.HasPrefix(name, "kernel.msg") || name == "kernel.sem" || strings.HasPrefix(name, "fs.mqueue.")) {
			errs = append(errs, field.Invalid(at, c.Name, "may not be specified when 'hostIPC' is true"))
		}
	}
	return errs
}

func isSysctl(name string) bool {
	ok, _ := regexp.MatchString("^"+sysctlFormat+"$", name) // the format is constant and compiles
	return ok && len(name) <= maxSysctl
}
