package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/pod"
)

// operatingSystem validates the system that the pod is for, and reports fields
// that have no meaning there.
func operatingSystem(fldPath *field.Path, p *corev1.PodSpec) field.ErrorList {
	if p.OS == nil {
		return nil
	}
	switch p.OS.Name {
	case "":
		return field.ErrorList{field.Required(fldPath.Child("os", "name"), "")}
	case corev1.Windows:
		return notOnWindows(fldPath, p)
	case corev1.Linux:
		return notOnLinux(fldPath, p)
	}
	return oneOf(fldPath.Child("os"), p.OS.Name, corev1.Linux, corev1.Windows)
}

func notOnLinux(fldPath *field.Path, p *corev1.PodSpec) field.ErrorList {
	const why = "windows options cannot be set for a linux pod"
	sc := p.SecurityContext
	errs := forbid(why, given(fldPath.Child("securityContext", "windowsOptions"), sc != nil && sc.WindowsOptions != nil))
	pod.VisitContainersWithPath(p, fldPath, func(at *field.Path, c *corev1.Container) {
		csc := c.SecurityContext
		errs = append(errs, forbid(why, given(at.Child("securityContext", "windowsOptions"), csc != nil && csc.WindowsOptions != nil))...)
	})
	return errs
}

func notOnWindows(fldPath *field.Path, p *corev1.PodSpec) field.ErrorList {
	const why = "cannot be set for a windows pod"
	var errs field.ErrorList
	if sc := p.SecurityContext; sc != nil {
		at := fldPath.Child("securityContext")
		errs = forbid(why,
			given(at.Child("appArmorProfile"), sc.AppArmorProfile != nil),
			given(at.Child("seLinuxOptions"), sc.SELinuxOptions != nil),
			given(at.Child("seccompProfile"), sc.SeccompProfile != nil),
			given(at.Child("fsGroup"), sc.FSGroup != nil),
			given(at.Child("fsGroupChangePolicy"), sc.FSGroupChangePolicy != nil),
			given(at.Child("sysctls"), len(sc.Sysctls) > 0),
			given(at.Child("runAsUser"), sc.RunAsUser != nil),
			given(at.Child("runAsGroup"), sc.RunAsGroup != nil),
			given(at.Child("supplementalGroups"), sc.SupplementalGroups != nil),
			given(at.Child("supplementalGroupsPolicy"), sc.SupplementalGroupsPolicy != nil),
			given(at.Child("seLinuxChangePolicy"), sc.SELinuxChangePolicy != nil))
	}
	errs = append(errs, forbid(why,
		given(fldPath.Child("hostUsers"), p.HostUsers != nil),
		given(fldPath.Child("hostPID"), p.HostPID), given(fldPath.Child("hostIPC"), p.HostIPC),
		given(fldPath.Child("shareProcessNamespace"), p.ShareProcessNamespace != nil))...)
	pod.VisitContainersWithPath(p, fldPath, func(at *field.Path, c *corev1.Container) {
		sc := c.SecurityContext
		if sc == nil {
			return
		}
		at = at.Child("securityContext")
		errs = append(errs, forbid(why,
			given(at.Child("appArmorProfile"), sc.AppArmorProfile != nil),
			given(at.Child("seLinuxOptions"), sc.SELinuxOptions != nil),
			given(at.Child("seccompProfile"), sc.SeccompProfile != nil),
			given(at.Child("capabilities"), sc.Capabilities != nil),
			given(at.Child("readOnlyRootFilesystem"), sc.ReadOnlyRootFilesystem != nil),
			given(at.Child("privileged"), sc.Privileged != nil),
			given(at.Child("allowPrivilegeEscalation"), sc.AllowPrivilegeEscalation != nil),
			given(at.Child("procMount"), sc.ProcMount != nil),
			given(at.Child("runAsUser"), sc.RunAsUser != nil),
			given(at.Child("runAsGroup"), sc.RunAsGroup != nil))...)
	})
	return errs
}
