package warnings

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apis/core/validation/container"
)

// SyncAppArmor makes annotations of old the fields that took their place, and
// returns the warnings that are due for them.
func SyncAppArmor(p *corev1.Pod) []string {
	if p.Spec.OS != nil && p.Spec.OS.Name == corev1.Windows {
		return nil
	}
	w := warner{}
	var ofPod *corev1.AppArmorProfile
	if sc := p.Spec.SecurityContext; sc != nil {
		ofPod = sc.AppArmorProfile
	}
	pod.VisitContainersWithPath(&p.Spec, nil, func(_ *field.Path, c *corev1.Container) {
		key := container.AppArmorContainer + c.Name
		v, ok := p.Annotations[key]
		if !ok || c.SecurityContext != nil && c.SecurityContext.AppArmorProfile != nil {
			return
		}
		profile := AppArmorProfile(v)
		if profile != nil && len(container.AppArmor(nil, profile)) > 0 {
			profile = nil
		}
		if profile != nil && equality.Semantic.DeepEqual(profile, ofPod) {
			return
		}
		if profile != nil {
			if c.SecurityContext == nil {
				c.SecurityContext = &corev1.SecurityContext{}
			}
			c.SecurityContext.AppArmorProfile = profile
		}
		w.add(field.NewPath("metadata", "annotations").Key(key), `deprecated since v1.30; use the "appArmorProfile" field instead`)
	})
	return w.list
}

// AppArmorProfile returns the profile of an old annotation, nil if it has none.
func AppArmorProfile(annotation string) *corev1.AppArmorProfile {
	switch annotation {
	case "unconfined":
		return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeUnconfined}
	case "runtime/default":
		return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeRuntimeDefault}
	}
	if name, ok := strings.CutPrefix(annotation, container.LocalhostProfile); ok && name != "" {
		return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeLocalhost, LocalhostProfile: &name}
	}
	return nil
}
