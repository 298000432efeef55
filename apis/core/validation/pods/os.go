package pods

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apis/internal/check"
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
	return check.OneOf(fldPath.Child("os"), p.OS.Name, corev1.Linux, corev1.Windows)
}

func notOnLinux(fldPath *field.Path, p *corev1.PodSpec) field.ErrorList {
	const why = "windows options cannot be set for a linux pod"
	sc := p.SecurityContext
	errs := check.Forbid(why, check.Given(fldPath.Child("securityContext", "windowsOptions"), sc != nil && sc.WindowsOptions != nil))
	pod.VisitContainersWithPath(p, fldPath, func(at *field.Path, c *corev1.Container) {
		csc := c.SecurityContext
		errs = append(errs, check.Forbid(why, check.Given(at.Child("securityContext", "windowsOptions"), csc != nil && csc.WindowsOptions != nil))...)
	})
	return errs
}

func notOnWindows(fldPath *field.Path, p *corev1.PodSpec) field.ErrorList {
	const why = "cannot be set for a windows pod"
	var errs field.ErrorList
	if sc := p.SecurityContext; sc != nil {
		at := fldPath.Child("securityContext")
		errs = check.Forbid(why,
			check.Given(at.Child("appArmorProfile"), sc.AppArmorProfile != nil),
			check.Given(at.Child("seLinuxOptions"), sc.SELinuxOptions != nil),
			check.Given(at.Child("seccompProfile"), sc.SeccompProfile != nil),
			check.Given(at.Child("fsGroup"), sc.FSGroup != nil),
			check.Given(at.Child("fsGroupChangePolicy"), sc.FSGroupChangePolicy != nil),
			check.Given(at.Child("sysctls"), len(sc.Sysctls) > 0),
			check.Given(at.Child("runAsUser"), sc.RunAsUser != nil),
			check.Given(at.Child("runAsGroup"), sc.RunAsGroup != nil),
			check.Given(at.Child("supplementalGroups"), sc.SupplementalGroups != nil),
			check.Given(at.Child("supplementalGroupsPolicy"), sc.SupplementalGroupsPolicy != nil),
			check.Given(at.Child("seLinuxChangePolicy"), sc.SELinuxChangePolicy != nil))
	}
	errs = append(errs, check.Forbid(why,
		check.Given(fldPath.Child("hostUsers"), p.HostUsers != nil),
		check.Given(fldPath.Child("hostPID"), p.HostPID), check.Given(fldPath.Child("hostIPC"), p.HostIPC),
		check.Given(fldPath.Child("shareProcessNamespace"), p.ShareProcessNamespace != nil))...)
	pod.VisitContainersWithPath(p, fldPath, func(at *field.Path, c *corev1.Container) {
		sc := c.SecurityContext
		if sc == nil {
			return
		}
		at = at.Child("securityContext")
		errs = append(errs, check.Forbid(why,
			check.Given(at.Child("appArmorProfile"), sc.AppArmorProfile != nil),
			check.Given(at.Child("seLinuxOptions"), sc.SELinuxOptions != nil),
			check.Given(at.Child("seccompProfile"), sc.SeccompProfile != nil),
			check.Given(at.Child("capabilities"), sc.Capabilities != nil),
			check.Given(at.Child("readOnlyRootFilesystem"), sc.ReadOnlyRootFilesystem != nil),
			check.Given(at.Child("privileged"), sc.Privileged != nil),
			check.Given(at.Child("allowPrivilegeEscalation"), sc.AllowPrivilegeEscalation != nil),
			check.Given(at.Child("procMount"), sc.ProcMount != nil),
			check.Given(at.Child("runAsUser"), sc.RunAsUser != nil),
			check.Given(at.Child("runAsGroup"), sc.RunAsGroup != nil))...)
	})
	return errs
}
