package main

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/nodeagent/simulated"
)

const (
	// scheduled pods, on manyNodes.
	scheduled, manyNodes = 3000, 1000
	// replicas of the Deployment, on someNodes.
	replicas, someNodes = 1000, 100
	workloadRuns        = 3
)

func podSpec(image string) corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image, Resources: corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("16Mi")},
	}}}}
}

// benchSchedule measures pods from the first one's creation until the last one
// is bound, and those bound per second between the first and the last.
func benchSchedule(ctx context.Context, b *bench) error {
	t, err := b.upLibrary(ctx, manyNodes)
	if err != nil {
		return err
	}
	defer t.stop()
	var whole, rate []float64
	for run := range workloadRuns {
		ns := fmt.Sprintf("schedule-%d", run)
		if err := t.namespace(ctx, ns); err != nil {
			return err
		}
		created := make(chan error, 1)
		start := time.Now()
		go func() {
			_, err := side(scheduled, clients, func(i int) error { return t.client.Create(ctx, pod(ns, fmt.Sprintf("p-%d", i))) })
			created <- err
		}()
		bound := map[string]bool{}
		var first time.Time
		last, err := t.await(ctx, &corev1.PodList{}, func(_ watch.EventType, o client.Object) bool {
			if o.(*corev1.Pod).Spec.NodeName != "" {
				if len(bound) == 0 {
					first = time.Now()
				}
				bound[o.GetName()] = true
			}
			return len(bound) == scheduled
		}, client.InNamespace(ns))
		if err != nil {
			return err
		}
		if err := <-created; err != nil {
			return fmt.Errorf("creating pods: %w", err)
		}
		whole = append(whole, scheduled/last.Sub(start).Seconds())
		rate = append(rate, scheduled/last.Sub(first).Seconds())
		if _, err := t.namespaceGone(ctx, ns); err != nil {
			return err
		}
	}
	b.report("scheduled on 1,000 nodes", "pods/s", 700, rate...)
	b.report("created and scheduled on 1,000 nodes", "pods/s", none, whole...)
	return nil
}

// benchDeployment measures a Deployment of 1,000: until all are available, a
// rolling update of all, and until its namespace with them is gone.
func benchDeployment(ctx context.Context, b *bench) error {
	t, err := b.up(ctx, someNodes)
	if err != nil {
		return err
	}
	defer t.stop()
	var available, gone, rolled []float64
	for run := range workloadRuns {
		ns := fmt.Sprintf("deployment-%d", run)
		if err := t.namespace(ctx, ns); err != nil {
			return err
		}
		took, err := t.deploy(ctx, deployment(ns))
		if err != nil {
			return err
		}
		available = append(available, took)
		if took, err = t.namespaceGone(ctx, ns); err != nil {
			return err
		}
		gone = append(gone, took)
	}
	b.report("Deployment of 1,000 available", "s", 2.7, available...)
	b.report("namespace with 1,000 pods gone", "s", 3.5, gone...)
	if err := t.namespace(ctx, "rolled"); err != nil {
		return err
	}
	d := deployment("rolled")
	if _, err := t.deploy(ctx, d); err != nil {
		return err
	}
	for run := range workloadRuns {
		took, err := t.roll(ctx, d, fmt.Sprintf("image-%d", run))
		if err != nil {
			return err
		}
		rolled = append(rolled, took)
	}
	b.report("rolling update of 1,000", "s", 4.4, rolled...)
	return nil
}

func deployment(ns string) *appsv1.Deployment {
	n, labels := int32(replicas), map[string]string{"app": "bench"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "bench"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: podSpec("one")},
		},
	}
}

func (t *target) deploy(ctx context.Context, d *appsv1.Deployment) (float64, error) {
	start := time.Now()
	if err := t.client.Create(ctx, d); err != nil {
		return 0, fmt.Errorf("creating the Deployment: %w", err)
	}
	at, err := t.complete(ctx, d)
	return at.Sub(start).Seconds(), err
}

func (t *target) roll(ctx context.Context, d *appsv1.Deployment, image string) (float64, error) {
	before := d.DeepCopy()
	d.Spec.Template.Spec.Containers[0].Image = image
	start := time.Now()
	if err := t.client.Patch(ctx, d, client.StrategicMergeFrom(before)); err != nil {
		return 0, fmt.Errorf("changing the image: %w", err)
	}
	at, err := t.complete(ctx, d)
	return at.Sub(start).Seconds(), err
}

// complete waits for what kubectl rollout status waits for.
func (t *target) complete(ctx context.Context, d *appsv1.Deployment) (time.Time, error) {
	return t.await(ctx, &appsv1.DeploymentList{}, func(_ watch.EventType, o client.Object) bool {
		s := o.(*appsv1.Deployment).Status
		return s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == replicas && s.Replicas == replicas && s.AvailableReplicas == replicas
	}, client.InNamespace(d.Namespace))
}

// benchJob measures a Job of 1,000 completions, all side by side, whose pods
// succeed as soon as they run.
func benchJob(ctx context.Context, b *bench) error {
	t, err := b.up(ctx, someNodes)
	if err != nil {
		return err
	}
	defer t.stop()
	var took []float64
	for run := range workloadRuns {
		ns := fmt.Sprintf("job-%d", run)
		if err := t.namespace(ctx, ns); err != nil {
			return err
		}
		start := time.Now()
		if err := t.client.Create(ctx, job(ns)); err != nil {
			return fmt.Errorf("creating the Job: %w", err)
		}
		at, err := t.await(ctx, &batchv1.JobList{}, func(_ watch.EventType, o client.Object) bool {
			for _, c := range o.(*batchv1.Job).Status.Conditions {
				if c.Type == batchv1.JobComplete && c.Status == corev1.ConditionTrue {
					return true
				}
			}
			return false
		}, client.InNamespace(ns))
		if err != nil {
			return err
		}
		took = append(took, at.Sub(start).Seconds())
		if _, err := t.namespaceGone(ctx, ns); err != nil {
			return err
		}
	}
	b.report("Job of 1,000 complete", "s", none, took...)
	return nil
}

func job(ns string) *batchv1.Job {
	n := int32(replicas)
	spec := podSpec("one")
	spec.RestartPolicy = corev1.RestartPolicyNever
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "bench"},
		Spec: batchv1.JobSpec{
			Completions: &n, Parallelism: &n,
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{simulated.ExitAfterAnnotation: "0s"}}, Spec: spec,
			},
		},
	}
}
