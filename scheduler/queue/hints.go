package queue

import (
	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
)

// verdict is the effect of an event on a pod that was refused.
type verdict int

const (
	skip verdict = iota
	afterBackoff
	immediately
)

// judge asks every plugin that refused p whether o may change its mind. A pod
// that no plugin refused failed by an error and may try again at any event.
func (q *Queue) judge(p *Pod, o occurrence) verdict {
	if o.event.Resource == fwk.WildCard || p.UnschedulablePlugins.Len()+p.PendingPlugins.Len() == 0 {
		return afterBackoff
	}
	result := skip
	for plugin := range p.PendingPlugins {
		if q.wakes(plugin, p.GetPod(), o) {
			return immediately
		}
	}
	for plugin := range p.UnschedulablePlugins {
		if q.wakes(plugin, p.GetPod(), o) {
			result = afterBackoff
			break
		}
	}
	return result
}

func (q *Queue) wakes(plugin string, pod *v1.Pod, o occurrence) bool {
	for _, h := range q.cfg.Hints[plugin] {
		if !matches(h.Event, o.event) {
			continue
		}
		if h.QueueingHintFn == nil {
			return true
		}
		// After a plugin's error a retry is the safe answer.
		hint, err := h.QueueingHintFn(klog.Background(), pod, o.oldObj, o.newObj)
		if err != nil || hint == fwk.Queue {
			return true
		}
	}
	return false
}

// matters reports whether any plugin registered for the event.
func (q *Queue) matters(event fwk.ClusterEvent) bool {
	if event.Resource == fwk.WildCard {
		return true
	}
	for _, hints := range q.cfg.Hints {
		for i := range hints {
			if matches(hints[i].Event, event) {
				return true
			}
		}
	}
	return false
}

// matches reports whether the event that a plugin registered for covers the one
// that happened: Pod covers the three kinds of pods, and actions overlap.
func matches(registered, event fwk.ClusterEvent) bool {
	if registered.ActionType&event.ActionType == 0 {
		return false
	}
	switch registered.Resource {
	case event.Resource, fwk.WildCard:
		return true
	case fwk.Pod:
		return event.Resource == fwk.AssignedPod || event.Resource == fwk.UnscheduledPod || event.Resource == fwk.TargetPod
	default:
		return false
	}
}
