package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/coracle-k8s/coracle/test/bench/process"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// startRuns is how often a start is measured.
const startRuns = 7

// benchStart measures from exec, on a fresh data directory.
func benchStart(ctx context.Context, b *bench) error {
	var ready, account, running []float64
	for range startRuns {
		if err := b.startOnce(ctx, &ready, &account, &running); err != nil {
			return err
		}
	}
	b.report("readyz", "s", 0.15, ready...)
	b.report("default ServiceAccount", "s", 0.3, account...)
	b.report("first simulated pod Running", "s", 0.5, running...)
	return nil
}

func (b *bench) startOnce(ctx context.Context, ready, account, running *[]float64) error {
	t, err := b.launch(ctx, "--nodes", "0", "--simulated-nodes", "1")
	if err != nil {
		return err
	}
	defer t.stop()
	took, err := t.ready(ctx)
	if err != nil {
		return err
	}
	*ready = append(*ready, took.Seconds())
	if err := t.connect(ctx); err != nil {
		return err
	}
	at, err := t.accountMade(ctx, metav1.NamespaceDefault)
	if err != nil {
		return err
	}
	*account = append(*account, at.Sub(t.started).Seconds())
	p := pod(metav1.NamespaceDefault, "first")
	if err := t.client.Create(ctx, p); err != nil {
		return fmt.Errorf("creating the first pod: %w", err)
	}
	at, err = t.await(ctx, &corev1.PodList{}, func(_ watch.EventType, o client.Object) bool {
		return o.(*corev1.Pod).Status.Phase == corev1.PodRunning
	}, client.InNamespace(p.Namespace))
	if err != nil {
		return err
	}
	*running = append(*running, at.Sub(t.started).Seconds())
	return nil
}

// accountMade waits for a namespace's default ServiceAccount, without which no
// pod is let in.
func (t *target) accountMade(ctx context.Context, namespace string) (time.Time, error) {
	return t.await(ctx, &corev1.ServiceAccountList{}, func(_ watch.EventType, o client.Object) bool { return o.GetName() == "default" },
		client.InNamespace(namespace))
}

func pod(namespace, name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": "bench"}}, Spec: podSpec("one")}
}

// idleFor is how long a cluster is left alone before it is looked at, and then
// how long it is looked at.
const idleFor = 30 * time.Second

// benchIdle measures a process that holds everything and has nothing to do.
func benchIdle(ctx context.Context, b *bench) error {
	own := *b
	var err error
	if own.binary, err = process.InMemory(b.binary); err != nil {
		return err
	}
	defer os.Remove(own.binary)
	t, err := own.launch(ctx, "--nodes", "0", "--simulated-nodes", "1")
	if err != nil {
		return err
	}
	defer t.stop()
	if err := t.settled(ctx, 1); err != nil {
		return err
	}
	use, err := process.Idle(ctx, t.command.Process.Pid, idleFor)
	if err != nil {
		return err
	}
	b.report("idle RSS", "MB", 90, use.RSS)
	b.report("idle anonymous memory", "MB", none, use.Anonymous)
	b.report("idle CPU", "% of a core", 1, use.CPU)
	return nil
}
