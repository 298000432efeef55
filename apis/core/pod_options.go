package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/pod"
)

// PodOptions holds what a pod is validated for, and what is let pass because
// the stored object has it already. Zero is a new template.
type PodOptions struct {
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

	// meta is the pod's, nil for a template.
	meta *metav1.ObjectMeta
}

// podName returns the name of the pod, "" for templates and names still to be generated.
func (o PodOptions) podName() string {
	if o.meta == nil {
		return ""
	}
	return o.meta.Name
}

// static reports whether the pod mirrors one that a kubelet has from a file.
func (o PodOptions) static() bool {
	return o.meta != nil && isStatic(o.meta)
}

func isStatic(m *metav1.ObjectMeta) bool {
	_, ok := m.Annotations[corev1.MirrorPodAnnotationKey]
	return ok
}

// TemplateOptionsFor returns the options for an object whose stored template was
// old; old is nil for a new one.
func TemplateOptionsFor(old *corev1.PodTemplateSpec) PodOptions {
	if old == nil {
		return PodOptions{}
	}
	o := PodOptionsFor(&old.Spec)
	cost, ok := old.Annotations[corev1.PodDeletionCost]
	o.AllowInvalidDeletionCost = ok && !isDeletionCost(cost)
	return o
}

// PodOptionsFor returns the options for an object of which the spec old was
// stored; old is nil for a new one.
func PodOptionsFor(old *corev1.PodSpec) PodOptions {
	if old == nil {
		return PodOptions{}
	}
	var o PodOptions
	noteScheduling(&o, old)
	for i := range old.Volumes {
		v := &old.Volumes[i]
		o.AllowEmptyImageVolumeReference = o.AllowEmptyImageVolumeReference || v.Image != nil && v.Image.Reference == ""
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			t := s.ServiceAccountToken
			o.AllowNonLocalProjectedTokenPath = o.AllowNonLocalProjectedTokenPath || t != nil && len(filePath(nil, t.Path)) > 0
		}
	}
	if sc := old.SecurityContext; sc != nil {
		for _, c := range sc.Sysctls {
			o.AllowHostSysctls = o.AllowHostSysctls || len(hostSysctl(nil, c.Name, old)) > 0
		}
	}
	pod.VisitContainers(old, func(c *corev1.Container, _ pod.ContainerType) bool {
		noteContainer(&o, c, old.HostUsers != nil && !*old.HostUsers)
		return true
	})
	o.AllowIndivisibleHugePages = o.AllowIndivisibleHugePages || indivisible(old.Overhead)
	for i := range old.InitContainers {
		c := &old.InitContainers[i]
		for _, p := range c.ResizePolicy {
			o.AllowRestartingInitResize = o.AllowRestartingInitResize || p.RestartPolicy == corev1.RestartContainer && !pod.IsSidecar(c)
		}
	}
	return o
}

func noteContainer(o *PodOptions, c *corev1.Container, ownUsers bool) {
	o.AllowIndivisibleHugePages = o.AllowIndivisibleHugePages || indivisible(c.Resources.Limits) || indivisible(c.Resources.Requests)
	o.AllowHostUsersDevices = o.AllowHostUsersDevices || ownUsers && len(c.VolumeDevices) > 0
	sc := c.SecurityContext
	if sc == nil || sc.Capabilities == nil || sc.AllowPrivilegeEscalation != nil && *sc.AllowPrivilegeEscalation {
		return
	}
	for _, capability := range sc.Capabilities.Add {
		o.AllowSysAdmin = o.AllowSysAdmin || capability == sysAdmin
	}
}

func noteScheduling(o *PodOptions, old *corev1.PodSpec) {
	for i := range old.TopologySpreadConstraints {
		c := &old.TopologySpreadConstraints[i]
		o.AllowInvalidSpreadSelector = o.AllowInvalidSpreadSelector || len(labelSelector(nil, c.LabelSelector, false)) > 0
		o.AllowUnmergedLabelKeys = o.AllowUnmergedLabelKeys || len(labelKeys(nil, c.MatchLabelKeys, nil, c.LabelSelector)) > 0
	}
	a := old.Affinity
	if a == nil {
		return
	}
	if a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		o.AllowInvalidNodeLabelValues = badNodeValues(a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
	}
	note := func(required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm) {
		for i := range required {
			o.AllowInvalidLabelValueInSelector = o.AllowInvalidLabelValueInSelector || len(termSelectors(nil, &required[i], false)) > 0
		}
		for i := range preferred {
			o.AllowInvalidLabelValueInSelector = o.AllowInvalidLabelValueInSelector || len(termSelectors(nil, &preferred[i].PodAffinityTerm, false)) > 0
		}
	}
	if p := a.PodAffinity; p != nil {
		note(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	if p := a.PodAntiAffinity; p != nil {
		note(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution)
	}
}

// indivisible reports whether list has memory in huge pages that is no whole number of them.
func indivisible(list corev1.ResourceList) bool {
	for name, q := range list {
		if strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) && len(wholePages(field.NewPath("x"), name, q, false)) > 0 {
			return true
		}
	}
	return false
}
