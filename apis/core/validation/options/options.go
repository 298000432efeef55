// Package options holds what the validation of pods depends on besides the pods.
//
// The API of this package is not stable: see docs/api.md.
package options

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Pod holds what a pod is validated for, and what is let pass because
// the stored object has it already. Zero is a new template.
type Pod struct {
	// ResourceIsPod is for a pod itself, as opposed to a template of pods.
	ResourceIsPod bool
	// AllowInvalidLabelValueInSelector keeps selectors of pod affinity that were
	// stored with values no label can have.
	AllowInvalidLabelValueInSelector bool
	// AllowInvalidNodeLabelValues does so for the nodes that a pod requires.
	AllowInvalidNodeLabelValues bool
	// AllowInvalidSpreadSelector keeps invalid selectors of topology spread constraints.
	AllowInvalidSpreadSelector bool
	// AllowUnmergedLabelKeys keeps label keys of topology spread constraints that
	// conflict with the selector.
	AllowUnmergedLabelKeys bool
	// AllowIndivisibleHugePages keeps amounts that are no whole number of pages.
	AllowIndivisibleHugePages bool
	// AllowInvalidDeletionCost keeps a deletion cost that is no number.
	AllowInvalidDeletionCost bool
	// AllowNonLocalProjectedTokenPath keeps paths of projected tokens outside of their volume.
	AllowNonLocalProjectedTokenPath bool
	// AllowEmptyImageVolumeReference keeps volumes of an image without its reference.
	AllowEmptyImageVolumeReference bool
	// AllowHostSysctls keeps sysctls of a namespace that is the node's.
	AllowHostSysctls bool
	// AllowRestartingInitResize keeps the resize policy RestartContainer of init
	// containers that are no sidecars.
	AllowRestartingInitResize bool
	// AllowHostUsersDevices keeps block devices together with users of the pod's own.
	AllowHostUsersDevices bool
	// AllowSysAdmin keeps the capability CAP_SYS_ADMIN where no escalation is allowed.
	AllowSysAdmin bool

	// Meta is the pod's metadata, nil for a template.
	Meta *metav1.ObjectMeta
}

// Name returns the name of the pod, "" for templates and names still to be generated.
func (o Pod) Name() string {
	if o.Meta == nil {
		return ""
	}
	return o.Meta.Name
}

// Static reports whether the pod mirrors one that a kubelet has from a file.
func (o Pod) Static() bool {
	return o.Meta != nil && IsStatic(o.Meta)
}

// IsStatic reports whether m is the metadata of a pod that mirrors one which a kubelet has
// from a file.
func IsStatic(m *metav1.ObjectMeta) bool {
	_, ok := m.Annotations[corev1.MirrorPodAnnotationKey]
	return ok
}
