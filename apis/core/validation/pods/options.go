package pods

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apis/core/validation/container"
	"github.com/coracle-k8s/coracle/apis/core/validation/options"
	"github.com/coracle-k8s/coracle/apis/core/validation/resources"
	"github.com/coracle-k8s/coracle/apis/core/validation/scheduling"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// TemplateOptionsFor returns the options for an object whose stored template was
// old; old is nil for a new one.
func TemplateOptionsFor(old *corev1.PodTemplateSpec) options.Pod {
	if old == nil {
		return options.Pod{}
	}
	o := PodOptionsFor(&old.Spec)
	cost, ok := old.Annotations[corev1.PodDeletionCost]
	o.AllowInvalidDeletionCost = ok && !isDeletionCost(cost)
	return o
}

// PodOptionsFor returns the options for an object of which the spec old was
// stored; old is nil for a new one.
func PodOptionsFor(old *corev1.PodSpec) options.Pod {
	if old == nil {
		return options.Pod{}
	}
	var o options.Pod
	noteScheduling(&o, old)
	for i := range old.Volumes {
		v := &old.Volumes[i]
		o.AllowEmptyImageVolumeReference = o.AllowEmptyImageVolumeReference || v.Image != nil && v.Image.Reference == ""
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			t := s.ServiceAccountToken
			o.AllowNonLocalProjectedTokenPath = o.AllowNonLocalProjectedTokenPath || t != nil && len(check.FilePath(nil, t.Path)) > 0
		}
	}
	if sc := old.SecurityContext; sc != nil {
		for _, c := range sc.Sysctls {
			o.AllowHostSysctls = o.AllowHostSysctls || len(container.HostSysctl(nil, c.Name, old)) > 0
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

func noteContainer(o *options.Pod, c *corev1.Container, ownUsers bool) {
	o.AllowIndivisibleHugePages = o.AllowIndivisibleHugePages || indivisible(c.Resources.Limits) || indivisible(c.Resources.Requests)
	o.AllowHostUsersDevices = o.AllowHostUsersDevices || ownUsers && len(c.VolumeDevices) > 0
	sc := c.SecurityContext
	if sc == nil || sc.Capabilities == nil || sc.AllowPrivilegeEscalation != nil && *sc.AllowPrivilegeEscalation {
		return
	}
	for _, capability := range sc.Capabilities.Add {
		o.AllowSysAdmin = o.AllowSysAdmin || capability == container.SysAdmin
	}
}

func noteScheduling(o *options.Pod, old *corev1.PodSpec) {
	for i := range old.TopologySpreadConstraints {
		c := &old.TopologySpreadConstraints[i]
		o.AllowInvalidSpreadSelector = o.AllowInvalidSpreadSelector || len(check.LabelSelector(nil, c.LabelSelector, false)) > 0
		o.AllowUnmergedLabelKeys = o.AllowUnmergedLabelKeys || len(scheduling.LabelKeys(nil, c.MatchLabelKeys, nil, c.LabelSelector)) > 0
	}
	a := old.Affinity
	if a == nil {
		return
	}
	if a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		o.AllowInvalidNodeLabelValues = scheduling.BadNodeValues(a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
	}
	note := func(required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm) {
		for i := range required {
			o.AllowInvalidLabelValueInSelector = o.AllowInvalidLabelValueInSelector || len(scheduling.TermSelectors(nil, &required[i], false)) > 0
		}
		for i := range preferred {
			o.AllowInvalidLabelValueInSelector = o.AllowInvalidLabelValueInSelector || len(scheduling.TermSelectors(nil, &preferred[i].PodAffinityTerm, false)) > 0
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
		if strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) && len(resources.WholePages(field.NewPath("x"), name, q, false)) > 0 {
			return true
		}
	}
	return false
}
