package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// operatingSystem validates the system that the pod is for, and reports fields
// that have no meaning there.
func (s *podScope) operatingSystem(fldPath *field.Path) field.ErrorList {
	if s.spec.OS == nil {
		return nil
	}
	switch s.spec.OS.Name {
	case "":
		return field.ErrorList{field.Required(fldPath.Child("os", "name"), "")}
	case corev1.Windows:
		return s.notOnWindows(fldPath)
	case corev1.Linux:
		return s.notOnLinux(fldPath)
	}
	return oneOf(fldPath.Child("os"), s.spec.OS.Name, corev1.Linux, corev1.Windows)
}

// someField is a field's path and whether it is set.
type someField struct {
	path *field.Path
	set  bool
}

func forbid(why string, list ...someField) field.ErrorList {
	var errs field.ErrorList
	for _, f := range list {
		if f.set {
			errs = append(errs, field.Forbidden(f.path, why))
		}
	}
	return errs
}

func (s *podScope) notOnLinux(fldPath *field.Path) field.ErrorList {
	const why = "windows options cannot be set for a linux pod"
	sc := s.spec.SecurityContext
	errs := forbid(why, someField{fldPath.Child("securityContext", "windowsOptions"), sc != nil && sc.WindowsOptions != nil})
	s.everyContainer(fldPath, func(at *field.Path, c *corev1.Container) {
		csc := c.SecurityContext
		errs = append(errs, forbid(why, someField{at.Child("securityContext", "windowsOptions"), csc != nil && csc.WindowsOptions != nil})...)
	})
	return errs
}

func (s *podScope) notOnWindows(fldPath *field.Path) field.ErrorList {
	const why = "cannot be set for a windows pod"
	var errs field.ErrorList
	p := s.spec
	if sc := p.SecurityContext; sc != nil {
		at := fldPath.Child("securityContext")
		errs = forbid(why,
			someField{at.Child("appArmorProfile"), sc.AppArmorProfile != nil},
			someField{at.Child("seLinuxOptions"), sc.SELinuxOptions != nil},
			someField{at.Child("seccompProfile"), sc.SeccompProfile != nil},
			someField{at.Child("fsGroup"), sc.FSGroup != nil},
			someField{at.Child("fsGroupChangePolicy"), sc.FSGroupChangePolicy != nil},
			someField{at.Child("sysctls"), len(sc.Sysctls) > 0},
			someField{at.Child("runAsUser"), sc.RunAsUser != nil},
			someField{at.Child("runAsGroup"), sc.RunAsGroup != nil},
			someField{at.Child("supplementalGroups"), sc.SupplementalGroups != nil},
			someField{at.Child("supplementalGroupsPolicy"), sc.SupplementalGroupsPolicy != nil},
			someField{at.Child("seLinuxChangePolicy"), sc.SELinuxChangePolicy != nil})
	}
	errs = append(errs, forbid(why,
		someField{fldPath.Child("hostUsers"), p.HostUsers != nil},
		someField{fldPath.Child("hostPID"), p.HostPID}, someField{fldPath.Child("hostIPC"), p.HostIPC},
		someField{fldPath.Child("shareProcessNamespace"), p.ShareProcessNamespace != nil})...)
	s.everyContainer(fldPath, func(at *field.Path, c *corev1.Container) {
		sc := c.SecurityContext
		if sc == nil {
			return
		}
		at = at.Child("securityContext")
		errs = append(errs, forbid(why,
			someField{at.Child("appArmorProfile"), sc.AppArmorProfile != nil},
			someField{at.Child("seLinuxOptions"), sc.SELinuxOptions != nil},
			someField{at.Child("seccompProfile"), sc.SeccompProfile != nil},
			someField{at.Child("capabilities"), sc.Capabilities != nil},
			someField{at.Child("readOnlyRootFilesystem"), sc.ReadOnlyRootFilesystem != nil},
			someField{at.Child("privileged"), sc.Privileged != nil},
			someField{at.Child("allowPrivilegeEscalation"), sc.AllowPrivilegeEscalation != nil},
			someField{at.Child("procMount"), sc.ProcMount != nil},
			someField{at.Child("runAsUser"), sc.RunAsUser != nil},
			someField{at.Child("runAsGroup"), sc.RunAsGroup != nil})...)
	})
	return errs
}

// everyContainer calls f with all containers, in the order in which they start.
func (s *podScope) everyContainer(fldPath *field.Path, f func(*field.Path, *corev1.Container)) {
	for i := range s.spec.InitContainers {
		f(fldPath.Child("initContainers").Index(i), &s.spec.InitContainers[i])
	}
	for i := range s.spec.Containers {
		f(fldPath.Child("containers").Index(i), &s.spec.Containers[i])
	}
	for i := range s.spec.EphemeralContainers {
		f(fldPath.Child("ephemeralContainers").Index(i), (*corev1.Container)(&s.spec.EphemeralContainers[i].EphemeralContainerCommon))
	}
}
