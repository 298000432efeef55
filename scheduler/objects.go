package scheduler

import (
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// objects holds what plugins want to know besides pods and nodes: labels of
// namespaces, selectors of services and of workloads. It follows the informers,
// so that a cycle reads maps and copies nothing.
type objects struct {
	mu         sync.RWMutex
	namespaces map[string]labels.Set
	services   map[string]map[string]labels.Set // namespace, name: selector
	workloads  map[types.UID]labels.Selector
}

func newObjects() *objects {
	return &objects{
		namespaces: map[string]labels.Set{},
		services:   map[string]map[string]labels.Set{},
		workloads:  map[types.UID]labels.Selector{},
	}
}

func defaultWorkloads() []client.Object {
	return []client.Object{&v1.ReplicationController{}, &appsv1.ReplicaSet{}}
}

// set adds or replaces an object of a kind that matters.
func (o *objects) set(obj any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch x := obj.(type) {
	case *v1.Namespace:
		o.namespaces[x.Name] = x.Labels
	case *v1.Service:
		if o.services[x.Namespace] == nil {
			o.services[x.Namespace] = map[string]labels.Set{}
		}
		o.services[x.Namespace][x.Name] = x.Spec.Selector
	case *v1.ReplicationController:
		o.workloads[x.UID] = labels.SelectorFromSet(x.Spec.Selector)
	case *appsv1.ReplicaSet:
		o.setWorkload(x.UID, x.Spec.Selector)
	case *appsv1.StatefulSet:
		o.setWorkload(x.UID, x.Spec.Selector)
	}
}

func (o *objects) setWorkload(uid types.UID, s *metav1.LabelSelector) {
	if _, ok := o.workloads[uid]; ok {
		return // selectors of workloads are immutable
	}
	// The API validates selectors; one that does not parse selects nothing.
	if selector, err := metav1.LabelSelectorAsSelector(s); err == nil {
		o.workloads[uid] = selector
	}
}

// remove forgets an object.
func (o *objects) remove(obj any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch x := obj.(type) {
	case *v1.Namespace:
		delete(o.namespaces, x.Name)
	case *v1.Service:
		delete(o.services[x.Namespace], x.Name)
		if len(o.services[x.Namespace]) == 0 {
			delete(o.services, x.Namespace)
		}
	case client.Object:
		delete(o.workloads, x.GetUID())
	}
}

// NamespaceLabels returns the namespace's labels, nil if it is not known.
func (o *objects) NamespaceLabels(name string) labels.Set {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.namespaces[name]
}

// Namespaces visits every namespace.
func (o *objects) Namespaces(visit func(name string, l labels.Set)) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	for name, l := range o.namespaces {
		visit(name, l)
	}
}

// DefaultSelector selects the pods that belong together with this one: those of
// all its services and of its workload. It is empty if there is neither.
func (o *objects) DefaultSelector(pod *v1.Pod) labels.Selector {
	o.mu.RLock()
	defer o.mu.RUnlock()
	set := labels.Set{}
	for _, selector := range o.services[pod.Namespace] {
		if len(selector) > 0 && subset(selector, pod.Labels) {
			set = labels.Merge(set, selector)
		}
	}
	selector := labels.NewSelector()
	if len(set) > 0 {
		selector = labels.SelectorFromValidatedSet(set)
	}
	owner := metav1.GetControllerOfNoCopy(pod)
	if owner == nil {
		return selector
	}
	if w, ok := o.workloads[owner.UID]; ok {
		if r, ok := w.Requirements(); ok {
			selector = selector.Add(r...)
		}
	}
	return selector
}

func subset(selector labels.Set, of map[string]string) bool {
	for k, v := range selector {
		if got, ok := of[k]; !ok || got != v {
			return false
		}
	}
	return true
}
