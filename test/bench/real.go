package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/carried"
)

// realRuns is how often pods are measured on a real node.
const realRuns = 5

// benchReal measures pods with containers, images present: from a pod's
// creation until it is Ready, ten at once, and from the request to delete one
// without grace until it is gone.
func benchReal(ctx context.Context, b *bench) error {
	if os.Geteuid() != 0 {
		return errors.New("real nodes need root")
	}
	t, err := b.launch(ctx, "--nodes", "1")
	if err != nil {
		return err
	}
	defer t.stop()
	if err := t.settled(ctx, 1); err != nil {
		return fmt.Errorf("waiting for a real node: %w", err)
	}
	const ns = metav1.NamespaceDefault
	if _, err := t.accountMade(ctx, ns); err != nil {
		return err
	}
	if _, err := t.podsReady(ctx, ns, "warm", 1); err != nil {
		return err
	}
	var one, ten, gone []float64
	for run := range realRuns {
		name := fmt.Sprintf("one-%d", run)
		took, err := t.podsReady(ctx, ns, name, 1)
		if err != nil {
			return err
		}
		one = append(one, took)
		if took, err = t.podGone(ctx, ns, name+"-0"); err != nil {
			return err
		}
		gone = append(gone, took)
		if took, err = t.podsReady(ctx, ns, fmt.Sprintf("ten-%d", run), 10); err != nil {
			return err
		}
		ten = append(ten, took)
	}
	b.report("real pod Ready", "s", 0.2, one...)
	b.report("ten real pods Ready", "s", 0.6, ten...)
	b.report("real pod gone", "s", 0.3, gone...)
	return nil
}

// podsReady creates n pods at once and waits until all are Ready.
func (t *target) podsReady(ctx context.Context, ns, name string, n int) (float64, error) {
	start := time.Now()
	_, err := side(n, n, func(i int) error {
		p := pod(ns, fmt.Sprintf("%s-%d", name, i))
		p.Labels["run"] = name
		p.Spec.Containers[0].Image, p.Spec.Containers[0].ImagePullPolicy = carried.SampleImage, corev1.PullNever
		return t.client.Create(ctx, p)
	})
	if err != nil {
		return 0, fmt.Errorf("creating pods: %w", err)
	}
	ready := map[string]bool{}
	at, err := t.await(ctx, &corev1.PodList{}, func(_ watch.EventType, o client.Object) bool {
		for _, c := range o.(*corev1.Pod).Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				ready[o.GetName()] = true
			}
		}
		return len(ready) == n
	}, client.InNamespace(ns), client.MatchingLabels{"run": name})
	return at.Sub(start).Seconds(), err
}

// podGone deletes a pod whose processes end at SIGTERM.
func (t *target) podGone(ctx context.Context, ns, name string) (float64, error) {
	p := pod(ns, name)
	if err := t.client.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
		return 0, fmt.Errorf("reading pod %s: %w", name, err)
	}
	start := time.Now()
	if err := t.client.Delete(ctx, p); err != nil {
		return 0, fmt.Errorf("deleting pod %s: %w", name, err)
	}
	at, err := t.await(ctx, &corev1.PodList{}, func(e watch.EventType, o client.Object) bool {
		return e == watch.Deleted && o.GetName() == name
	}, client.InNamespace(ns), &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: p.ResourceVersion}})
	return at.Sub(start).Seconds(), err
}
