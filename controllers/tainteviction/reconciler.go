package tainteviction

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/alarm"
)

// Name is the controller's name, as upstream's.
const Name = "taint-eviction-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "noexec_taint_pod"

// Reconciler evicts one pod when its time has come. A request names a Pod.
type Reconciler struct {
	client   client.Client
	clock    clock.Clock
	recorder record.EventRecorder
	alarms   *alarm.Clock[types.NamespacedName]
	metrics  metrics

	mu sync.Mutex
	// seen is when NoExecute taints were first seen on the node of a pod.
	seen map[types.NamespacedName]sighting
}

type sighting struct {
	pod types.UID
	at  time.Time
}

// New returns a Reconciler.
func New(d controllers.Deps) *Reconciler {
	return &Reconciler{
		client: d.Client, clock: d.Clock, recorder: d.Recorder(Name),
		alarms: alarm.New[types.NamespacedName](d.Clock),
		seen:   map[types.NamespacedName]sighting{}, metrics: newMetrics(),
	}
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// podHandler passes what can change a pod's deadline; its status can not.
func podHandler() handler.TypedEventHandler[*corev1.Pod, reconcile.Request] {
	add := func(q queue, p *corev1.Pod) {
		q.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(p)})
	}
	return handler.TypedFuncs[*corev1.Pod, reconcile.Request]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[*corev1.Pod], q queue) {
			if e.Object.Spec.NodeName != "" {
				add(q, e.Object)
			}
		},
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[*corev1.Pod], q queue) {
			before, after := e.ObjectOld, e.ObjectNew
			if before.Spec.NodeName != after.Spec.NodeName || concerns(before) != concerns(after) ||
				!equality.Semantic.DeepEqual(before.Spec.Tolerations, after.Spec.Tolerations) {
				add(q, after)
			}
		},
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[*corev1.Pod], q queue) {
			if e.Object.Spec.NodeName != "" {
				add(q, e.Object)
			}
		},
	}
}

func (r *Reconciler) nodeHandler() handler.TypedEventHandler[*corev1.Node, reconcile.Request] {
	return handler.TypedFuncs[*corev1.Node, reconcile.Request]{
		CreateFunc: func(ctx context.Context, e event.TypedCreateEvent[*corev1.Node], q queue) {
			if len(noExecute(e.Object.Spec.Taints)) > 0 {
				r.podsOf(ctx, q, e.Object.Name)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[*corev1.Node], q queue) {
			same := slices.EqualFunc(noExecute(e.ObjectOld.Spec.Taints), noExecute(e.ObjectNew.Spec.Taints),
				func(a, b corev1.Taint) bool {
					return a.Key == b.Key && a.Value == b.Value && a.TimeAdded.Equal(b.TimeAdded)
				})
			if !same {
				r.podsOf(ctx, q, e.ObjectNew.Name)
			}
		},
	}
}

func (r *Reconciler) podsOf(ctx context.Context, q queue, node string) {
	var pods corev1.PodList
	if err := r.client.List(ctx, &pods, client.MatchingFields{index.PodNode: node}, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing the pods of a tainted node", "node", node)
		return
	}
	for i := range pods.Items {
		q.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&pods.Items[i])})
	}
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var pod corev1.Pod
	err := r.client.Get(ctx, req.NamespacedName, &pod, client.UnsafeDisableDeepCopy)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("getting pod %s: %w", req, err)
	}
	if err != nil || !concerns(&pod) {
		r.cancel(req.NamespacedName)
		return reconcile.Result{}, nil
	}
	taints, err := r.taints(ctx, pod.Spec.NodeName)
	if err != nil {
		return reconcile.Result{}, err
	}
	now := r.clock.Now()
	if len(taints) == 0 {
		r.spare(&pod)
		return reconcile.Result{}, nil
	}
	at, never := deadline(&pod, taints, r.sight(&pod, now))
	switch {
	case never:
		r.spare(&pod)
	case at.After(now):
		r.alarms.Set(req.NamespacedName, at)
	default:
		r.alarms.Cancel(req.NamespacedName)
		return reconcile.Result{}, r.evict(ctx, &pod, at, now)
	}
	return reconcile.Result{}, nil
}

func (r *Reconciler) taints(ctx context.Context, name string) ([]corev1.Taint, error) {
	var node corev1.Node
	if err := r.client.Get(ctx, types.NamespacedName{Name: name}, &node, client.UnsafeDisableDeepCopy); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("getting node %s: %w", name, err)
	}
	return noExecute(node.Spec.Taints), nil
}

// sight returns since when NoExecute taints are known on the pod's node.
func (r *Reconciler) sight(pod *corev1.Pod, now time.Time) time.Time {
	key := client.ObjectKeyFromObject(pod)
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.seen[key]
	if !ok || s.pod != pod.UID {
		s = sighting{pod: pod.UID, at: now}
		r.seen[key] = s
	}
	return s.at
}

// cancel drops the deadline of a pod and reports whether it had one.
func (r *Reconciler) cancel(pod types.NamespacedName) bool {
	r.mu.Lock()
	delete(r.seen, pod)
	r.mu.Unlock()
	return r.alarms.Cancel(pod)
}

// spare drops the deadline of a pod that may stay after all.
func (r *Reconciler) spare(pod *corev1.Pod) {
	key := client.ObjectKeyFromObject(pod)
	if r.cancel(key) {
		r.recorder.Eventf(pod, corev1.EventTypeNormal, reasonEviction, messageCancel, key)
	}
}

// evict deletes a pod whose time was up at at.
func (r *Reconciler) evict(ctx context.Context, pod *corev1.Pod, at, now time.Time) error {
	key := client.ObjectKeyFromObject(pod)
	r.recorder.Eventf(pod, corev1.EventTypeNormal, reasonEviction, messageDelete, key)
	marked := pod.DeepCopy()
	if mark(&marked.Status, pod.Generation, now) {
		err := r.client.Status().Patch(ctx, marked, client.StrategicMergeFrom(pod))
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("marking pod %s as a target of disruption: %w", key, err)
		}
	}
	err := r.client.Delete(ctx, pod.DeepCopy(), client.Preconditions{UID: &pod.UID})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting pod %s: %w", key, err)
	}
	r.metrics.deletions.Inc()
	r.metrics.latency.Observe(r.clock.Since(at).Seconds())
	return nil
}

// mark sets the condition DisruptionTarget and reports whether it was not set.
func mark(status *corev1.PodStatus, generation int64, now time.Time) bool {
	want := corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
		Reason: reasonCondition, Message: messageCondition,
		LastTransitionTime: metav1.NewTime(now), ObservedGeneration: generation,
	}
	for i := range status.Conditions {
		c := &status.Conditions[i]
		if c.Type != want.Type {
			continue
		}
		if c.Status == want.Status && c.Reason == want.Reason && c.Message == want.Message && c.ObservedGeneration == generation {
			return false
		}
		if c.Status == want.Status {
			want.LastTransitionTime = c.LastTransitionTime
		}
		*c = want
		return true
	}
	status.Conditions = append(status.Conditions, want)
	return true
}
