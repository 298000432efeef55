package model

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Tracker is the current Services and EndpointSlices and which Services have
// changed since they were last taken. It is not safe for concurrent use.
type Tracker struct {
	services map[types.NamespacedName]*corev1.Service
	slices   map[types.NamespacedName]map[string]*discoveryv1.EndpointSlice
	dirty    map[types.NamespacedName]struct{}
}

// NewTracker returns an empty Tracker.
func NewTracker() *Tracker {
	return &Tracker{
		services: map[types.NamespacedName]*corev1.Service{},
		slices:   map[types.NamespacedName]map[string]*discoveryv1.EndpointSlice{},
		dirty:    map[types.NamespacedName]struct{}{},
	}
}

// SetService takes a Service, or with nil its end.
func (t *Tracker) SetService(name types.NamespacedName, svc *corev1.Service) {
	if svc == nil {
		delete(t.services, name)
	} else {
		t.services[name] = svc
	}
	t.dirty[name] = struct{}{}
}

// SetSlice takes a slice (gone: its end) and reports whether it belongs to a
// Service that a proxy serves.
func (t *Tracker) SetSlice(slice *discoveryv1.EndpointSlice, gone bool) bool {
	owner := slice.Labels[discoveryv1.LabelServiceName]
	// The presence of the headless label is its meaning; its value is empty.
	_, headless := slice.Labels[corev1.IsHeadlessService]
	if owner == "" || headless || slice.Labels[labelProxyName] != "" {
		return false
	}
	name := types.NamespacedName{Namespace: slice.Namespace, Name: owner}
	all := t.slices[name]
	switch {
	case !gone && all == nil:
		t.slices[name] = map[string]*discoveryv1.EndpointSlice{slice.Name: slice}
	case !gone:
		all[slice.Name] = slice
	default:
		delete(all, slice.Name)
		if len(all) == 0 {
			delete(t.slices, name)
		}
	}
	t.dirty[name] = struct{}{}
	return true
}

// TouchAll marks every Service as changed: the point of view has.
func (t *Tracker) TouchAll() {
	for name := range t.services {
		t.dirty[name] = struct{}{}
	}
}

// Dirty reports whether anything has changed since Take.
func (t *Tracker) Dirty() bool { return len(t.dirty) > 0 }

// Take returns the changed Services as the node is to see them; nil stands for
// one that is gone or not for a proxy.
func (t *Tracker) Take(node Node, family corev1.IPFamily) map[types.NamespacedName]*Service {
	out := make(map[types.NamespacedName]*Service, len(t.dirty))
	for name := range t.dirty {
		all := make([]*discoveryv1.EndpointSlice, 0, len(t.slices[name]))
		for _, s := range t.slices[name] {
			all = append(all, s)
		}
		slices.SortFunc(all, func(a, b *discoveryv1.EndpointSlice) int { return strings.Compare(a.Name, b.Name) })
		out[name] = Build(t.services[name], all, node, family)
	}
	t.dirty = map[types.NamespacedName]struct{}{}
	return out
}
