package horizontalpodautoscaler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name, as upstream's.
const Name = "horizontal-pod-autoscaler-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "horizontalpodautoscaler"

// DefaultPeriod is how often metrics are looked at.
const DefaultPeriod = 15 * time.Second

// Config holds the dependencies of a Reconciler; all but Period is required.
type Config struct {
	Metrics Metrics
	// Period is how often metrics are looked at, DefaultPeriod if 0.
	Period time.Duration
}

// Reconciler reconciles HorizontalPodAutoscalers. Make it with New.
type Reconciler struct {
	config   Config
	client   client.Client
	clock    clock.PassiveClock
	recorder record.EventRecorder

	mu sync.Mutex
	// memories and selectors are by autoscaler: what it recommended, and which
	// pods it last scaled by.
	memories  map[types.NamespacedName]Memory
	selectors map[types.NamespacedName]labels.Selector

	tallies tallies
}

// New returns a Reconciler.
func New(d controllers.Deps, c Config) *Reconciler {
	if c.Period == 0 {
		c.Period = DefaultPeriod
	}
	return &Reconciler{
		config: c, client: d.Client, clock: d.Clock, recorder: d.Recorder("horizontal-pod-autoscaler"),
		memories: map[types.NamespacedName]Memory{}, selectors: map[types.NamespacedName]labels.Selector{}, tallies: newTallies(),
	}
}

// Reconcile looks at one autoscaler's metrics and scales its target.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	a := &autoscalingv2.HorizontalPodAutoscaler{}
	if err := r.client.Get(ctx, req.NamespacedName, a); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.NamespacedName)
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	began := time.Now()
	action, failure, err := r.look(ctx, a)
	r.tallies.reconciled(action, cmp.Or(failure, err), time.Since(began))
	return reconcile.Result{RequeueAfter: r.config.Period}, err
}

// look also returns its action, and a failure besides its error.
func (r *Reconciler) look(ctx context.Context, a *autoscalingv2.HorizontalPodAutoscaler) (action string, failure, err error) {
	action = "none"
	o, target, err := r.observe(ctx, a)
	if err != nil {
		return action, nil, err
	}
	next := plan(o, r.clock.Now())
	for i, c := range next.Computed {
		r.tallies.computed(c, o.Readings[i].Took)
	}
	if next.Replicas != nil {
		err := r.rescale(ctx, target, *next.Replicas)
		next = next.Rescaled(o, err, r.clock.Now())
		if err == nil {
			action = direction(o.Scale.Replicas, *next.Replicas)
		}
	}
	r.remember(client.ObjectKeyFromObject(a), next.Memory)
	for _, e := range next.Events {
		r.recorder.Event(a, e.Type, e.Reason, e.Message)
	}
	if apiequality.Semantic.DeepEqual(a.Status, next.Status) {
		return action, next.Failure, nil
	}
	a.Status = next.Status
	err = r.client.Status().Update(ctx, a)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return action, next.Failure, nil // the next period sees what came between
	}
	if err != nil {
		r.recorder.Event(a, corev1.EventTypeWarning, "FailedUpdateStatus", err.Error())
		return action, next.Failure, fmt.Errorf("writing status: %w", err)
	}
	return action, next.Failure, nil
}

func (r *Reconciler) observe(ctx context.Context, a *autoscalingv2.HorizontalPodAutoscaler) (Observed, *target, error) {
	key := client.ObjectKeyFromObject(a)
	o := Observed{Autoscaler: a, Memory: r.memory(key)}
	var t *target
	if t, o.ScaleError = r.scale(ctx, a); o.ScaleError != nil {
		return o, nil, nil
	}
	o.Scale = t.scale()
	selector, err := labels.Parse(o.Scale.Selector)
	if o.Scale.SelectorError = err; err != nil || o.Scale.Selector == "" {
		return o, t, nil
	}
	var list corev1.PodList
	if err := r.client.List(ctx, &list, client.InNamespace(a.Namespace), client.MatchingLabelsSelector{Selector: selector}, client.UnsafeDisableDeepCopy); err != nil {
		return o, nil, fmt.Errorf("listing pods: %w", err)
	}
	for i := range list.Items {
		o.Pods = append(o.Pods, &list.Items[i])
	}
	if o.Rivals = r.rivals(key, selector, o.Pods); len(o.Rivals) > 0 {
		return o, t, nil
	}
	for i := range a.Spec.Metrics {
		began := time.Now()
		reading := r.read(ctx, a.Namespace, o.Scale.Selector, &a.Spec.Metrics[i])
		reading.Took = time.Since(began)
		o.Readings = append(o.Readings, reading)
	}
	return o, t, nil
}

func (r *Reconciler) read(ctx context.Context, namespace, selector string, spec *autoscalingv2.MetricSpec) (out Reading) {
	textOf := func(m autoscalingv2.MetricIdentifier) string {
		if m.Selector == nil {
			return ""
		}
		s, err := metav1.LabelSelectorAsSelector(m.Selector)
		if err != nil {
			out.Err = err
			return ""
		}
		return s.String()
	}
	var err error
	switch spec.Type {
	case autoscalingv2.ResourceMetricSourceType:
		out.Pods, err = r.config.Metrics.Resource(ctx, namespace, selector, spec.Resource.Name, "")
	case autoscalingv2.ContainerResourceMetricSourceType:
		out.Pods, err = r.config.Metrics.Resource(ctx, namespace, selector, spec.ContainerResource.Name, spec.ContainerResource.Container)
	case autoscalingv2.PodsMetricSourceType:
		out.Pods, err = r.config.Metrics.Pods(ctx, namespace, selector, spec.Pods.Metric.Name, textOf(spec.Pods.Metric))
	case autoscalingv2.ObjectMetricSourceType:
		var v int64
		v, err = r.config.Metrics.Object(ctx, namespace, spec.Object.DescribedObject, spec.Object.Metric.Name, textOf(spec.Object.Metric))
		out.Values = []int64{v}
	case autoscalingv2.ExternalMetricSourceType:
		out.Values, err = r.config.Metrics.External(ctx, namespace, spec.External.Metric.Name, textOf(spec.External.Metric))
	}
	out.Err = errors.Join(out.Err, err)
	if out.Err != nil {
		log.FromContext(ctx).V(1).Info("reading a metric failed", "error", out.Err)
	}
	return out
}

func (r *Reconciler) memory(key types.NamespacedName) Memory {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.memories[key]
}

func (r *Reconciler) remember(key types.NamespacedName, m Memory) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.memories[key] = m
}

func (r *Reconciler) forget(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.memories, key)
	delete(r.selectors, key)
}

// rivals notes the selector and returns, beside the autoscaler itself, another
// that goes by one of these pods.
func (r *Reconciler) rivals(key types.NamespacedName, selector labels.Selector, pods []*corev1.Pod) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.selectors[key] = selector
	for other, s := range r.selectors {
		if other == key || other.Namespace != key.Namespace {
			continue
		}
		for _, p := range pods {
			if s.Matches(labels.Set(p.Labels)) {
				return []string{key.String(), other.String()}
			}
		}
	}
	return nil
}
