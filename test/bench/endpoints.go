package main

import (
	"context"
	"fmt"
	"maps"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// endpoints of one Service.
	endpoints = 10000
	// turns is how often one of them goes and another comes.
	turns = 10
)

// endpointSlices follows the EndpointSlices of a Service: its ready endpoints, and how
// often a slice was written.
type endpointSlices struct {
	ready  map[string]map[string]bool // pods by slice
	writes int
}

func (s *endpointSlices) see(e watch.EventType, o client.Object) (pods int) {
	s.writes++
	delete(s.ready, o.GetName())
	if slice := o.(*discoveryv1.EndpointSlice); e != watch.Deleted {
		in := map[string]bool{}
		for _, p := range slice.Endpoints {
			if p.Conditions.Ready != nil && *p.Conditions.Ready {
				in[p.TargetRef.Name] = true
			}
		}
		s.ready[slice.Name] = in
	}
	for _, in := range s.ready {
		pods += len(in)
	}
	return pods
}

func (s *endpointSlices) has(pod string) bool {
	for _, in := range s.ready {
		if in[pod] {
			return true
		}
	}
	return false
}

// benchEndpoints measures a Service of 10,000 pods: how long its slices take to
// be complete when the pods are there before the Service, how far they are behind
// the last pod when the pods come after it, and what one pod's change costs.
func benchEndpoints(ctx context.Context, b *bench) error {
	t, err := b.up(ctx, someNodes)
	if err != nil {
		return err
	}
	defer t.stop()
	const ns = "endpoints"
	if err := t.namespace(ctx, ns); err != nil {
		return err
	}
	of := &client.ListOptions{Namespace: ns}
	first := backend(ns, "first")
	if err := t.client.Create(ctx, first); err != nil {
		return fmt.Errorf("creating Service first: %w", err)
	}
	began := time.Now()
	last := make(chan time.Time, 1)
	go func() {
		ready := map[string]bool{}
		at, _ := t.await(ctx, &corev1.PodList{}, func(_ watch.EventType, o client.Object) bool {
			for _, c := range o.(*corev1.Pod).Status.Conditions {
				if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
					ready[o.GetName()] = true
				}
			}
			return len(ready) == endpoints
		}, of)
		last <- at
	}()
	if err := t.client.Create(ctx, backends(ns)); err != nil {
		return fmt.Errorf("creating the pods' ReplicaSet: %w", err)
	}
	seen := &endpointSlices{ready: map[string]map[string]bool{}}
	complete, err := t.await(ctx, &discoveryv1.EndpointSliceList{}, func(e watch.EventType, o client.Object) bool { return seen.see(e, o) == endpoints }, of)
	if err != nil {
		return err
	}
	b.report("10,000 endpoints, with their pods", "s", none, complete.Sub(began).Seconds())
	b.report("10,000 endpoints after their last pod", "s", 1, max(0, complete.Sub(<-last).Seconds()))
	b.report("writes of slices for 10,000 pods", "writes", none, float64(seen.writes))
	if err := t.oneByOne(ctx, b, ns, seen); err != nil {
		return err
	}
	if err := t.client.Delete(ctx, first); err != nil {
		return fmt.Errorf("deleting Service first: %w", err)
	}
	return t.wholeService(ctx, b, ns)
}

func backend(ns, name string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Spec: corev1.ServiceSpec{
		Selector: served(), Ports: []corev1.ServicePort{{Port: 80}},
	}}
}

// served returns the labels of what the Service selects, which are not those that
// the ReplicaSet does: a pod more is none of its business.
func served() map[string]string { return map[string]string{"served": "yes"} }

func backends(ns string) *appsv1.ReplicaSet {
	n, d := int32(endpoints), deployment(ns)
	d.Spec.Template.Labels = maps.Clone(d.Spec.Template.Labels)
	maps.Copy(d.Spec.Template.Labels, served())
	return &appsv1.ReplicaSet{ObjectMeta: d.ObjectMeta, Spec: appsv1.ReplicaSetSpec{Replicas: &n, Selector: d.Spec.Selector, Template: d.Spec.Template}}
}

// oneByOne measures a pod more and a pod less.
func (t *target) oneByOne(ctx context.Context, b *bench, ns string, seen *endpointSlices) error {
	version, err := t.version(ctx, ns)
	if err != nil {
		return err
	}
	from := &client.ListOptions{Namespace: ns, Raw: &metav1.ListOptions{ResourceVersion: version}}
	var came, went, writes []float64
	for turn := range turns {
		p := pod(ns, fmt.Sprint("more-", turn))
		p.Labels = served()
		none := int64(0)
		p.Spec.TerminationGracePeriodSeconds = &none
		before := seen.writes
		for _, step := range []struct {
			do    func() error
			there bool
			took  *[]float64
		}{
			{func() error { return t.client.Create(ctx, p) }, true, &came},
			{func() error { return t.client.Delete(ctx, p) }, false, &went},
		} {
			start := time.Now()
			if err := step.do(); err != nil {
				return fmt.Errorf("changing pod %s: %w", p.Name, err)
			}
			at, err := t.await(ctx, &discoveryv1.EndpointSliceList{}, func(e watch.EventType, o client.Object) bool {
				seen.see(e, o)
				from.Raw.ResourceVersion = o.GetResourceVersion() // lest it is seen twice
				return seen.has(p.Name) == step.there
			}, from)
			if err != nil {
				return err
			}
			*step.took = append(*step.took, at.Sub(start).Seconds())
		}
		writes = append(writes, float64(seen.writes-before)/2)
	}
	b.report("10,000 endpoints and one more", "s", none, came...)
	b.report("10,000 endpoints and one less", "s", none, went...)
	b.report("writes of slices for one pod", "writes", none, writes...)
	return nil
}

// version returns the version from which a watch of slices goes on.
func (t *target) version(ctx context.Context, ns string) (string, error) {
	var list discoveryv1.EndpointSliceList
	if err := t.client.List(ctx, &list, client.InNamespace(ns), client.Limit(1)); err != nil {
		return "", fmt.Errorf("listing slices: %w", err)
	}
	return list.ResourceVersion, nil
}

// wholeService measures a Service whose pods are there before it.
func (t *target) wholeService(ctx context.Context, b *bench, ns string) error {
	var took []float64
	for run := range workloadRuns {
		svc := backend(ns, fmt.Sprint("whole-", run))
		start := time.Now()
		if err := t.client.Create(ctx, svc); err != nil {
			return fmt.Errorf("creating Service %s: %w", svc.Name, err)
		}
		seen := &endpointSlices{ready: map[string]map[string]bool{}}
		at, err := t.await(ctx, &discoveryv1.EndpointSliceList{}, func(e watch.EventType, o client.Object) bool { return seen.see(e, o) == endpoints },
			client.InNamespace(ns), client.MatchingLabels{discoveryv1.LabelServiceName: svc.Name})
		if err != nil {
			return err
		}
		took = append(took, at.Sub(start).Seconds())
		if err := t.client.Delete(ctx, svc); err != nil {
			return fmt.Errorf("deleting Service %s: %w", svc.Name, err)
		}
	}
	b.report("10,000 endpoints of running pods", "s", 1, took...)
	return nil
}
