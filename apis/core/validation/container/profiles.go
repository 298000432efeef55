package container

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/pod"
)

// Annotations from before there were fields of profiles.
const (
	SeccompPod        = "seccomp.security.alpha.kubernetes.io/pod"
	SeccompContainer  = "container.seccomp.security.alpha.kubernetes.io/"
	AppArmorContainer = corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix
	LocalhostProfile  = "localhost/"
)

// ProfilesMatch validates that seccomp and AppArmor profiles which are given both as
// fields and as the annotations of old are the same.
func ProfilesMatch(spec *field.Path, annotations map[string]string, p *corev1.PodSpec) field.ErrorList {
	var errs field.ErrorList
	if sc := p.SecurityContext; sc != nil && sc.SeccompProfile != nil {
		errs = append(errs, seccompMatches(spec.Child("securityContext", "seccompProfile"), annotations, SeccompPod, sc.SeccompProfile)...)
	}
	pod.VisitContainersWithPath(p, spec, func(at *field.Path, c *corev1.Container) {
		if sc := c.SecurityContext; sc != nil && sc.SeccompProfile != nil {
			errs = append(errs, seccompMatches(at.Child("securityContext", "seccompProfile"), annotations, SeccompContainer+c.Name, sc.SeccompProfile)...)
		}
	})
	if p.OS != nil && p.OS.Name == corev1.Windows {
		return errs
	}
	pod.VisitContainersWithPath(p, spec, func(at *field.Path, c *corev1.Container) {
		var profile *corev1.AppArmorProfile
		if p.SecurityContext != nil {
			profile = p.SecurityContext.AppArmorProfile
		}
		if sc := c.SecurityContext; sc != nil && sc.AppArmorProfile != nil {
			profile = sc.AppArmorProfile
		}
		if annotation, ok := annotations[AppArmorContainer+c.Name]; ok && profile != nil {
			errs = append(errs, appArmorMatches(at.Child("securityContext", "appArmorProfile"), annotation, profile)...)
		}
	})
	return errs
}

func seccompMatches(fldPath *field.Path, annotations map[string]string, key string, p *corev1.SeccompProfile) field.ErrorList {
	v, ok := annotations[key]
	if !ok {
		return nil
	}
	switch p.Type {
	case corev1.SeccompProfileTypeUnconfined:
		ok = v == "unconfined"
	case corev1.SeccompProfileTypeRuntimeDefault:
		ok = v == "runtime/default" || v == "docker/default"
	case corev1.SeccompProfileTypeLocalhost:
		file, local := strings.CutPrefix(v, LocalhostProfile)
		ok = local
		if local && (p.LocalhostProfile == nil || file != *p.LocalhostProfile) {
			return field.ErrorList{field.Forbidden(fldPath.Child("localhostProfile"), "seccomp profile in annotation and field must match")}
		}
	}
	if !ok {
		return field.ErrorList{field.Forbidden(fldPath.Child("type"), "seccomp type in annotation and field must match")}
	}
	return nil
}

func appArmorMatches(fldPath *field.Path, v string, p *corev1.AppArmorProfile) field.ErrorList {
	ok := true
	switch p.Type {
	case corev1.AppArmorProfileTypeUnconfined:
		ok = v == "unconfined"
	case corev1.AppArmorProfileTypeRuntimeDefault:
		ok = v == "runtime/default"
	case corev1.AppArmorProfileTypeLocalhost:
		name, local := strings.CutPrefix(v, LocalhostProfile)
		ok = local
		if local && (p.LocalhostProfile == nil || name != *p.LocalhostProfile) {
			return field.ErrorList{field.Forbidden(fldPath.Child("localhostProfile"), "apparmor profile in annotation and field must match")}
		}
	}
	if !ok {
		return field.ErrorList{field.Forbidden(fldPath.Child("type"), "apparmor type in annotation and field must match")}
	}
	return nil
}
