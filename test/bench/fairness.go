package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/test/bench/flood"
)

const (
	// floodClients are those of one user, floodPods what a list has.
	floodClients, floodPods = 80, 2000
	// floodTime is the time for which each kind of flood lasts.
	floodTime = 10 * time.Second
)

// benchFairness measures how long another user waits for an object while one
// user's clients ask for more than the server can do.
func benchFairness(ctx context.Context, b *bench) error {
	t, err := b.up(ctx, 0)
	if err != nil {
		return err
	}
	defer t.stop()
	if err := t.prepareFlood(ctx); err != nil {
		return err
	}
	var ignored atomic.Int64
	asker, err := flood.New(t.rest, "quiet", &ignored, &ignored)
	if err != nil {
		return err
	}
	if _, err := asker.Ask(time.Second); err != nil { // connects, and starts what starts on demand
		return err
	}
	quiet, err := asker.Ask(floodTime / 2)
	if err != nil {
		return err
	}
	b.report("get of a user, quiet", "ms", none, quiet...)
	for _, kind := range flood.Kinds() {
		if err := b.flood(ctx, t, kind, asker); err != nil {
			return fmt.Errorf("measuring a flood of %s: %w", kind, err)
		}
	}
	return nil
}

func (b *bench) flood(ctx context.Context, t *target, kind string, asker *flood.Client) error {
	var answers, rejected atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for n := range floodClients {
		f, err := flood.New(t.rest, "noisy", &answers, &rejected)
		if err != nil {
			return err
		}
		group.Go(func() error {
			defer f.Close()
			for i := 0; ctx.Err() == nil; i++ {
				if err := f.Send(kind, n, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if _, err := asker.Ask(floodTime / 5); err != nil { // until the flood is at its height
		return err
	}
	before := answers.Load()
	took, err := asker.Ask(floodTime)
	if err != nil {
		return err
	}
	done := answers.Load() - before
	cancel()
	if err := group.Wait(); err != nil {
		return err
	}
	slices.Sort(took)
	b.report("get of a user beside a flood of "+kind, "ms", none, took...)
	b.report("99th percentile beside a flood of "+kind, "ms", none, took[len(took)*99/100])
	b.report("flood of "+kind, "requests/s", none, float64(done)/floodTime.Seconds())
	b.report("flood of "+kind+", rejected", "requests", none, float64(rejected.Load()))
	return nil
}

// prepareFlood makes the users and the pods, which no node runs.
func (t *target) prepareFlood(ctx context.Context) error {
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "flood"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "noisy"}, {Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "quiet"}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
	}
	if err := t.client.Create(ctx, binding); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making the users: %w", err)
	}
	_, err := side(floodPods, clients, func(i int) error {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("flood-%d", i)}}
		pod.Spec.SchedulerName = "none"
		pod.Spec.Containers = []corev1.Container{{Name: "c", Image: "i", Env: []corev1.EnvVar{{Name: "A", Value: "B"}}}}
		if err := t.client.Create(ctx, pod); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("making the pods: %w", err)
	}
	return nil
}
