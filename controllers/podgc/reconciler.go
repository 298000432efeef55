package podgc

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/slowstart"
)

// Name is the controller's name, as upstream's.
const Name = "pod-garbage-collector-controller"

// DefaultThreshold is how many finished pods are kept by default.
const DefaultThreshold = 12500

const (
	// soon is how long an event that surely means work waits for others.
	soon = 500 * time.Millisecond
	// sometime is how long one waits that only may, such as one more finished pod.
	sometime = 20 * time.Second
)

// everything is the only request: a scan looks at all pods.
var everything = reconcile.Request{NamespacedName: types.NamespacedName{Name: "pods"}}

// Reconciler scans for pods to remove. Make it with New.
type Reconciler struct {
	client    client.Client
	live      client.Reader
	clock     clock.Clock
	threshold int
	metrics   metrics

	// missing is touched by Reconcile alone, of which there is one at a time.
	missing map[string]time.Time
}

// New returns a Reconciler that keeps threshold finished pods (0 or less: all).
func New(d controllers.Deps, threshold int) *Reconciler {
	return &Reconciler{client: d.Client, live: d.Live, clock: d.Clock, threshold: threshold, metrics: newMetrics()}
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

func (r *Reconciler) podHandler() handler.EventHandler {
	look := func(ctx context.Context, o client.Object, q queue) {
		if pod, ok := o.(*corev1.Pod); ok {
			r.lookAt(ctx, pod, q)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { look(ctx, e.Object, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { look(ctx, e.ObjectNew, q) },
	}
}

func (r *Reconciler) lookAt(ctx context.Context, pod *corev1.Pod, q queue) {
	switch {
	case pod.Spec.NodeName == "" && pod.DeletionTimestamp != nil:
		q.AddAfter(everything, soon)
	case pod.Spec.NodeName != "":
		var node corev1.Node
		err := r.client.Get(ctx, types.NamespacedName{Name: pod.Spec.NodeName}, &node, client.UnsafeDisableDeepCopy)
		if apierrors.IsNotFound(err) || err == nil && pod.DeletionTimestamp != nil && outOfService(&node) {
			q.AddAfter(everything, soon)
		}
	}
	if r.threshold > 0 && podapi.IsTerminal(pod) {
		q.AddAfter(everything, sometime)
	}
}

func (r *Reconciler) nodeHandler() handler.EventHandler {
	look := func(o client.Object, q queue) {
		if n, ok := o.(*corev1.Node); ok && outOfService(n) {
			q.AddAfter(everything, soon)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { look(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { look(e.ObjectNew, q) },
		DeleteFunc: func(_ context.Context, _ event.DeleteEvent, q queue) { q.AddAfter(everything, soon) },
	}
}

// Reconcile scans all pods once.
func (r *Reconciler) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	observed, err := r.observe(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	next := plan(observed, r.clock.Now())
	r.missing = next.Missing
	victims, err := r.withoutLivingNodes(ctx, next.Victims)
	if err != nil {
		return reconcile.Result{}, err
	}
	_, err = slowstart.All(len(victims), func(i int) error { return r.remove(ctx, victims[i]) })
	return reconcile.Result{RequeueAfter: next.RequeueAfter}, err
}

func (r *Reconciler) observe(ctx context.Context) (Observed, error) {
	var (
		pods  corev1.PodList
		nodes corev1.NodeList
	)
	o := Observed{Nodes: map[string]*corev1.Node{}, Missing: r.missing, Threshold: r.threshold}
	if err := r.client.List(ctx, &pods, client.UnsafeDisableDeepCopy); err != nil {
		return o, fmt.Errorf("listing pods: %w", err)
	}
	if err := r.client.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return o, fmt.Errorf("listing nodes: %w", err)
	}
	for i := range nodes.Items {
		o.Nodes[nodes.Items[i].Name] = &nodes.Items[i]
	}
	for i := range pods.Items {
		o.Pods = append(o.Pods, &pods.Items[i])
	}
	return o, nil
}

// withoutLivingNodes asks the server, once per node, whether the nodes of
// orphans are really gone. The events that bring the cache up to date do the
// rest.
func (r *Reconciler) withoutLivingNodes(ctx context.Context, victims []Victim) ([]Victim, error) {
	alive, asked := sets.New[string](), sets.New[string]()
	var out []Victim
	for _, v := range victims {
		name := v.Pod.Spec.NodeName
		if v.Reason == Orphaned && !asked.Has(name) {
			asked.Insert(name)
			err := r.live.Get(ctx, types.NamespacedName{Name: name}, &corev1.Node{})
			if client.IgnoreNotFound(err) != nil {
				return nil, fmt.Errorf("asking for node %s: %w", name, err)
			}
			if err == nil {
				alive.Insert(name)
			}
		}
		if v.Reason != Orphaned || !alive.Has(name) {
			out = append(out, v)
		}
	}
	return out, nil
}

func (r *Reconciler) remove(ctx context.Context, v Victim) error {
	key := client.ObjectKeyFromObject(v.Pod)
	r.metrics.deletions.WithLabelValues(v.Pod.Namespace, string(v.Reason)).Inc()
	err := r.markFailed(ctx, v)
	if err == nil {
		err = r.client.Delete(ctx, v.Pod.DeepCopy(), client.GracePeriodSeconds(0), client.Preconditions{UID: &v.Pod.UID})
	}
	// Conflict: another pod has the name by now.
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	r.metrics.errors.WithLabelValues(v.Pod.Namespace, string(v.Reason)).Inc()
	return fmt.Errorf("removing %s pod %s: %w", v.Reason, key, err)
}

func (r *Reconciler) markFailed(ctx context.Context, v Victim) error {
	if podapi.IsTerminal(v.Pod) {
		return nil
	}
	pod := v.Pod.DeepCopy()
	pod.Status.Phase, pod.Status.ObservedGeneration = corev1.PodFailed, pod.Generation
	if v.Reason == Orphaned {
		setCondition(pod, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
			Reason: "DeletionByPodGC", Message: "PodGC: node no longer exists",
			LastTransitionTime: metav1.NewTime(r.clock.Now()), ObservedGeneration: pod.Generation,
		})
	}
	return r.client.Status().Patch(ctx, pod, client.StrategicMergeFrom(v.Pod))
}

func setCondition(pod *corev1.Pod, c corev1.PodCondition) {
	if old := podapi.GetCondition(&pod.Status, c.Type); old != nil {
		*old = c
		return
	}
	pod.Status.Conditions = append(pod.Status.Conditions, c)
}
