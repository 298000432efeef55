package main

import (
	"context"
	"fmt"
	"time"

	"github.com/coracle-k8s/coracle/test/bench/process"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// quietFor is how long a busy process must need no more CPU time than
	// quietShare of a core to count as converged.
	quietFor   = 3 * time.Second
	quietShare = 0.5
)

// benchScale fills a cluster with many nodes and pods, of Deployments of 1,000
// in a namespace each, looks at it, and starts it again on its data.
func benchScale(ctx context.Context, b *bench) error {
	nodes := fmt.Sprint(b.nodes)
	args := []string{"--nodes", "0", "--simulated-nodes", nodes}
	t, err := b.launch(ctx, args...)
	if err != nil {
		return err
	}
	defer t.stop()
	name := func(what string) string { return fmt.Sprintf("scale %d/%d %s", b.nodes, b.pods, what) }
	if err := t.settled(ctx, b.nodes); err != nil {
		return err
	}
	b.report(name("nodes Ready"), "s", none, time.Since(t.started).Seconds())
	idle, err := process.CPUTime(t.command.Process.Pid)
	if err != nil {
		return err
	}
	took, err := t.fill(ctx, b.pods/replicas)
	if err != nil {
		return err
	}
	busy, err := process.CPUTime(t.command.Process.Pid)
	if err != nil {
		return err
	}
	b.report(name("CPU time per pod"), "ms", none, (busy-idle).Seconds()*1000/float64(b.pods))
	b.report(name("pods Running"), "s", none, took)
	b.report(name("pods Running per second"), "pods/s", none, float64(b.pods)/took)
	if _, err := t.quiet(ctx); err != nil {
		return err
	}
	if err := b.footprint(ctx, t, name); err != nil {
		return err
	}
	before, err := t.versions(ctx)
	if err != nil {
		return err
	}
	b.report(name("stop"), "s", none, t.end().Seconds())
	if err := t.exec(ctx, b.binary, args...); err != nil {
		return err
	}
	if err := b.restarted(ctx, t, name); err != nil {
		return err
	}
	after, err := t.versions(ctx)
	if err != nil {
		return err
	}
	b.report(name("pods changed by the restart"), "pods", none, float64(changed(before, after)))
	return nil
}

// fill makes Deployments, a namespace each, and waits until all are available.
func (t *target) fill(ctx context.Context, deployments int) (float64, error) {
	for i := range deployments {
		if err := t.namespace(ctx, fmt.Sprintf("scale-%d", i)); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	for i := range deployments {
		if err := t.client.Create(ctx, deployment(fmt.Sprintf("scale-%d", i))); err != nil {
			return 0, fmt.Errorf("creating a Deployment: %w", err)
		}
	}
	available := map[string]bool{}
	at, err := t.await(ctx, &appsv1.DeploymentList{}, func(_ watch.EventType, o client.Object) bool {
		if o.(*appsv1.Deployment).Status.AvailableReplicas == replicas {
			available[o.GetNamespace()] = true
		}
		return len(available) == deployments
	})
	return at.Sub(start).Seconds(), err
}

// quiet waits until the process has nothing to do and returns when that began.
func (t *target) quiet(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, awaitLimit)
	defer cancel()
	for {
		since := time.Now()
		before, err := process.CPUTime(t.command.Process.Pid)
		if err != nil {
			return since, err
		}
		if err := process.Wait(ctx, quietFor); err != nil {
			return since, fmt.Errorf("waiting for the cluster to become quiet: %w", err)
		}
		after, err := process.CPUTime(t.command.Process.Pid)
		if err != nil {
			return since, err
		}
		if (after - before).Seconds() < quietShare*quietFor.Seconds() {
			return since, nil
		}
	}
}

// footprint reports the cost of an unused cluster.
func (b *bench) footprint(ctx context.Context, t *target, name func(string) string) error {
	pid := t.command.Process.Pid
	use, err := process.Idle(ctx, pid, idleFor)
	if err != nil {
		return err
	}
	peak, err := process.PeakMemory(pid)
	if err != nil {
		return err
	}
	b.report(name("RSS"), "MB", none, use.RSS)
	b.report(name("anonymous memory"), "MB", none, use.Anonymous)
	b.report(name("peak RSS"), "MB", none, peak)
	b.report(name("idle CPU"), "% of a core", none, use.CPU)
	return nil
}

// restarted reports a start on the data of a full cluster: until it is ready,
// until a pod that is made then runs, which takes controllers, scheduler and
// nodes, and until all that the start caused is done.
func (b *bench) restarted(ctx context.Context, t *target, name func(string) string) error {
	ready, err := t.ready(ctx)
	if err != nil {
		return err
	}
	b.report(name("restart readyz"), "s", none, ready.Seconds())
	if err := t.connect(ctx); err != nil {
		return err
	}
	d := deployment(metav1.NamespaceDefault)
	one := int32(1)
	d.Spec.Replicas = &one
	if err := t.client.Create(ctx, d); err != nil {
		return fmt.Errorf("creating a Deployment: %w", err)
	}
	at, err := t.await(ctx, &appsv1.DeploymentList{}, func(_ watch.EventType, o client.Object) bool {
		return o.(*appsv1.Deployment).Status.AvailableReplicas == one
	}, client.InNamespace(d.Namespace))
	if err != nil {
		return err
	}
	b.report(name("restart first new pod Running"), "s", none, at.Sub(t.started).Seconds())
	if at, err = t.quiet(ctx); err != nil {
		return err
	}
	b.report(name("restart converged"), "s", none, at.Sub(t.started).Seconds())
	peak, err := process.PeakMemory(t.command.Process.Pid)
	if err != nil {
		return err
	}
	b.report(name("restart peak RSS"), "MB", none, peak)
	return nil
}

// versions returns the resource versions of all pods.
func (t *target) versions(ctx context.Context) (map[types.UID]string, error) {
	versions := map[types.UID]string{}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
	for {
		if err := t.client.List(ctx, list, client.Limit(5000), client.Continue(list.Continue)); err != nil {
			return nil, fmt.Errorf("listing pods: %w", err)
		}
		for i := range list.Items {
			versions[list.Items[i].UID] = list.Items[i].ResourceVersion
		}
		if list.Continue == "" {
			return versions, nil
		}
	}
}

// changed counts the pods of before that were written since, or are gone.
func changed(before, after map[types.UID]string) int {
	n := 0
	for uid, version := range before {
		if after[uid] != version {
			n++
		}
	}
	return n
}
