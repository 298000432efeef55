package daemonset

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// limits returns how many of n nodes may have a pod too many, and how many may
// lack an available one, during an update. Percentages are rounded up.
func (p *planner) limits(n int) (surge, unavailable int) {
	s := p.Set.Spec.UpdateStrategy
	if s.Type != appsv1.RollingUpdateDaemonSetStrategyType || s.RollingUpdate == nil {
		return 0, 0
	}
	scaled := func(v *intstr.IntOrString) int {
		if v == nil {
			return 0
		}
		// Validation rejects what does not parse.
		k, err := intstr.GetScaledValueFromIntOrPercent(v, n, true)
		if err != nil {
			return 0
		}
		return k
	}
	return scaled(s.RollingUpdate.MaxSurge), scaled(s.RollingUpdate.MaxUnavailable)
}

// update goes one step towards all pods having the current template. It runs
// only when manage found nothing to do, so no node has more pods than it may.
func (p *planner) update() {
	surge, unavailable := p.limits(p.wanted)
	if surge == 0 {
		p.replace(max(1, unavailable))
		return
	}
	p.surge(surge)
}

// pair returns the live pods of a node by template, and false when there are
// two of a kind, which manage has not come to yet.
func (p *planner) pair(pl *place) (fresh, old *corev1.Pod, ok bool) {
	for _, pod := range pl.pods {
		if pod.DeletionTimestamp != nil {
			continue
		}
		of := &old
		if p.current(pod) {
			of = &fresh
		}
		if *of != nil {
			return nil, nil, false
		}
		*of = pod
	}
	return fresh, old, true
}

// replace deletes old pods for manage to make new ones: those that are
// unavailable at once, and others while no more than limit nodes lack one.
func (p *planner) replace(limit int) {
	var broken, candidates []*corev1.Pod
	unavailable := 0
	for _, pl := range p.places {
		if !pl.Run && len(pl.pods) == 0 {
			continue
		}
		fresh, old, ok := p.pair(pl)
		switch {
		case !ok || (fresh == nil) == (old == nil):
			unavailable++
		case fresh != nil:
			if !p.available(fresh) {
				unavailable++
			}
		case !p.available(old):
			broken = append(broken, old)
			unavailable++
		default:
			candidates = append(candidates, old)
		}
	}
	room := max(0, min(limit-unavailable, len(candidates)))
	p.plan.Delete = append(append(p.plan.Delete, broken...), candidates[:room]...)
}

// surge creates new pods beside old ones, limit of them beside available ones,
// and deletes an old one when the new one is available. On nodes that the set
// has left, old pods stay until enough others are available.
func (p *planner) surge(limit int) {
	var candidates []string
	var leaving []*corev1.Pod
	surging, available := 0, 0
	for _, pl := range p.places {
		fresh, old, ok := p.pair(pl)
		if !ok {
			surging++
			continue
		}
		if old != nil && p.available(old) || old == nil && fresh != nil && p.available(fresh) {
			available++
		}
		switch {
		case old == nil:
		case fresh != nil && p.available(fresh):
			p.delete(old)
		case fresh != nil:
			surging++
		case !pl.Run && !p.available(old):
			p.delete(old)
		case !pl.Run:
			leaving = append(leaving, old)
		case !p.available(old):
			p.plan.Create = append(p.plan.Create, pl.name)
		default:
			candidates = append(candidates, pl.name)
		}
	}
	p.plan.Create = append(p.plan.Create, candidates[:max(0, min(limit-surging, len(candidates)))]...)
	p.plan.Delete = append(p.plan.Delete, leaving[:max(0, min(available-p.wanted, len(leaving)))]...)
}
