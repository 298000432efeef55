package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// namespace makes one that pods are let into.
func (t *target) namespace(ctx context.Context, name string) error {
	if err := t.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
		return fmt.Errorf("creating namespace %s: %w", name, err)
	}
	_, err := t.accountMade(ctx, name)
	return err
}

// namespaceGone deletes it and returns how long it took to go.
func (t *target) namespaceGone(ctx context.Context, name string) (float64, error) {
	start := time.Now()
	if err := t.client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
		return 0, fmt.Errorf("deleting namespace %s: %w", name, err)
	}
	var is corev1.Namespace
	if err := t.client.Get(ctx, client.ObjectKey{Name: name}, &is); client.IgnoreNotFound(err) != nil {
		return 0, fmt.Errorf("reading namespace %s: %w", name, err)
	} else if err != nil {
		return time.Since(start).Seconds(), nil
	}
	// From the version just read: otherwise a namespace that went meanwhile is awaited in vain.
	at, err := t.await(ctx, &corev1.NamespaceList{}, func(e watch.EventType, o client.Object) bool {
		return e == watch.Deleted && o.GetName() == name
	}, &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: is.ResourceVersion}})
	return at.Sub(start).Seconds(), err
}

// emptyRuns is how many empty namespaces are deleted.
const emptyRuns = 9

// benchNamespace measures how long an empty namespace takes to go.
func benchNamespace(ctx context.Context, b *bench) error {
	t, err := b.up(ctx, 1)
	if err != nil {
		return err
	}
	defer t.stop()
	var gone []float64
	for run := range emptyRuns {
		ns := fmt.Sprintf("empty-%d", run)
		if err := t.namespace(ctx, ns); err != nil {
			return err
		}
		took, err := t.namespaceGone(ctx, ns)
		if err != nil {
			return err
		}
		gone = append(gone, took)
	}
	b.report("empty namespace gone", "s", 0.2, gone...)
	return nil
}

// manyNamespaces are created and deleted at once.
const manyNamespaces = 500

// benchManyNamespaces measures namespaces from the first one's creation until
// the last one lets pods in and has its ConfigMap, and from the first request
// to delete one until the last one is gone.
func benchManyNamespaces(ctx context.Context, b *bench) error {
	t, err := b.up(ctx, 1)
	if err != nil {
		return err
	}
	defer t.stop()
	var made, gone []float64
	for run := range workloadRuns {
		prefix := fmt.Sprintf("many-%d-", run)
		took, err := t.namespacesMade(ctx, prefix)
		if err != nil {
			return err
		}
		made = append(made, took)
		if took, err = t.namespacesGone(ctx, prefix); err != nil {
			return err
		}
		gone = append(gone, took)
	}
	b.report("500 namespaces created", "s", none, made...)
	b.report("500 namespaces gone", "s", none, gone...)
	return nil
}

func (t *target) namespacesMade(ctx context.Context, prefix string) (float64, error) {
	start := time.Now()
	_, err := side(manyNamespaces, clients, func(i int) error {
		return t.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(prefix, i)}})
	})
	if err != nil {
		return 0, fmt.Errorf("creating namespaces: %w", err)
	}
	var last time.Time
	for _, list := range []client.ObjectList{&corev1.ServiceAccountList{}, &corev1.ConfigMapList{}} {
		have := map[string]bool{}
		at, err := t.await(ctx, list, func(_ watch.EventType, o client.Object) bool {
			if strings.HasPrefix(o.GetNamespace(), prefix) {
				have[o.GetNamespace()] = true
			}
			return len(have) == manyNamespaces
		})
		if err != nil {
			return 0, err
		}
		last = at
	}
	return last.Sub(start).Seconds(), nil
}

func (t *target) namespacesGone(ctx context.Context, prefix string) (float64, error) {
	start := time.Now()
	_, err := side(manyNamespaces, clients, func(i int) error {
		return t.client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(prefix, i)}})
	})
	if err != nil {
		return 0, fmt.Errorf("deleting namespaces: %w", err)
	}
	var left corev1.NamespaceList
	if err := t.client.List(ctx, &left); err != nil {
		return 0, fmt.Errorf("listing namespaces: %w", err)
	}
	there := map[string]bool{}
	for _, ns := range left.Items {
		if strings.HasPrefix(ns.Name, prefix) {
			there[ns.Name] = true
		}
	}
	if len(there) == 0 {
		return time.Since(start).Seconds(), nil
	}
	at, err := t.await(ctx, &corev1.NamespaceList{}, func(e watch.EventType, o client.Object) bool {
		if e == watch.Deleted {
			delete(there, o.GetName())
		}
		return len(there) == 0
	}, &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: left.ResourceVersion}})
	return at.Sub(start).Seconds(), err
}
