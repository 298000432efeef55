package cache

import (
	"errors"
	"fmt"
	"sync"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

// PodInfo is a pod with its affinity terms parsed and its requests summed once.
// It is immutable; a changed pod gets a new PodInfo.
type PodInfo struct {
	pod *v1.Pod

	requiredAffinity      []fwk.AffinityTerm
	requiredAntiAffinity  []fwk.AffinityTerm
	preferredAffinity     []fwk.WeightedAffinityTerm
	preferredAntiAffinity []fwk.WeightedAffinityTerm

	sum      sync.Once
	resource fwk.PodResource
}

var _ fwk.PodInfo = &PodInfo{}

// NewPodInfo parses pod. A selector that does not parse is reported and its
// terms are left out; the PodInfo is usable either way.
func NewPodInfo(pod *v1.Pod) (*PodInfo, error) {
	pi := &PodInfo{pod: pod}
	affinity := pod.Spec.Affinity
	if affinity == nil {
		return pi, nil
	}
	var errs [4]error
	if a := affinity.PodAffinity; a != nil {
		pi.requiredAffinity, errs[0] = fwk.GetAffinityTerms(pod, fwk.GetPodAffinityTerms(affinity))
		pi.preferredAffinity, errs[1] = fwk.GetWeightedAffinityTerms(pod, a.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	if a := affinity.PodAntiAffinity; a != nil {
		pi.requiredAntiAffinity, errs[2] = fwk.GetAffinityTerms(pod, fwk.GetPodAntiAffinityTerms(affinity))
		pi.preferredAntiAffinity, errs[3] = fwk.GetWeightedAffinityTerms(pod, a.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return pi, fmt.Errorf("parsing affinity of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return pi, nil
}

func (p *PodInfo) GetPod() *v1.Pod                                  { return p.pod }
func (p *PodInfo) GetRequiredAffinityTerms() []fwk.AffinityTerm     { return p.requiredAffinity }
func (p *PodInfo) GetRequiredAntiAffinityTerms() []fwk.AffinityTerm { return p.requiredAntiAffinity }
func (p *PodInfo) GetPreferredAffinityTerms() []fwk.WeightedAffinityTerm {
	return p.preferredAffinity
}
func (p *PodInfo) GetPreferredAntiAffinityTerms() []fwk.WeightedAffinityTerm {
	return p.preferredAntiAffinity
}

// CalculateResource sums the pod's requests on first use.
func (p *PodInfo) CalculateResource() fwk.PodResource {
	p.sum.Do(func() { p.resource = podResource(p.pod) })
	return p.resource
}

// withPod returns p for a copy of its pod that differs in nothing that p derives.
func (p *PodInfo) withPod(pod *v1.Pod) *PodInfo {
	c := &PodInfo{
		pod:                   pod,
		requiredAffinity:      p.requiredAffinity,
		requiredAntiAffinity:  p.requiredAntiAffinity,
		preferredAffinity:     p.preferredAffinity,
		preferredAntiAffinity: p.preferredAntiAffinity,
	}
	c.resource = p.CalculateResource()
	c.sum.Do(func() {})
	return c
}

// Assumed returns a PodInfo of the same pod on nodeName. The pod is copied
// shallowly: neither of them may be changed.
func (p *PodInfo) Assumed(nodeName string) *PodInfo {
	pod := *p.pod
	pod.Spec.NodeName = nodeName
	return p.withPod(&pod)
}
