package devicetainteviction

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/alarm"
	"github.com/coracle-k8s/coracle/controllers/internal/owned"
)

// Name is the controller's name, as upstream's.
const Name = "device-taint-eviction-controller"

// Events and the condition, in upstream's words.
const (
	reasonEviction   = "DeviceTaintManagerEviction"
	messageDelete    = "Marking for deletion"
	messageCancel    = "Cancelling deletion"
	reasonCondition  = "DeletionByDeviceTaintManager"
	messageCondition = "Device Taint manager: deleting due to NoExecute taint"
)

// Reconciler evicts one pod when its time has come. A request names a Pod.
type Reconciler struct {
	client   client.Client
	clock    clock.Clock
	recorder record.EventRecorder
	alarms   *alarm.Clock[types.NamespacedName]
	devices  *devices
	metrics  metrics

	mu sync.Mutex
	// evicted counts pods by the rule that they were evicted for.
	evicted map[types.UID]int
	// rules is the queue of the rules' reconciler, nil before that starts.
	rules queue
}

// New returns a Reconciler.
func New(d controllers.Deps) *Reconciler {
	return &Reconciler{
		client: d.Client, clock: d.Clock, recorder: d.Recorder(Name), metrics: newMetrics(),
		alarms: alarm.New[types.NamespacedName](d.Clock), devices: newDevices(), evicted: map[types.UID]int{},
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
		r.alarms.Cancel(req.NamespacedName)
		return reconcile.Result{}, nil
	}
	v, err := r.view(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	e := v.ofPod(&pod)
	if e == nil {
		if r.alarms.Cancel(req.NamespacedName) {
			r.recorder.Event(&pod, corev1.EventTypeNormal, reasonEviction, messageCancel)
		}
		return reconcile.Result{}, nil
	}
	defer r.tellOf(e.rules)
	if e.at.After(r.clock.Now()) {
		r.alarms.Set(req.NamespacedName, e.at)
		return reconcile.Result{}, nil
	}
	r.alarms.Cancel(req.NamespacedName)
	return reconcile.Result{}, r.evict(ctx, &pod, e)
}

// view reads the rules; claims are read when they are asked for.
func (r *Reconciler) view(ctx context.Context) (*view, error) {
	var list resourcev1.DeviceTaintRuleList
	rules, err := owned.List(ctx, r.client, &list, &list.Items)
	if err != nil {
		return nil, err
	}
	v := &view{taints: r.devices.taints, claim: func(namespace, name string) *resourcev1.ResourceClaim {
		var claim resourcev1.ResourceClaim
		if err := r.client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &claim, client.UnsafeDisableDeepCopy); err != nil {
			return nil // a cache has no other error than that there is none
		}
		return &claim
	}}
	for _, rule := range rules {
		if rule.Spec.Taint.Effect == resourcev1.DeviceTaintEffectNoExecute {
			v.rules = append(v.rules, rule)
		}
	}
	return v, nil
}

// evict deletes a pod whose time is up.
func (r *Reconciler) evict(ctx context.Context, pod *corev1.Pod, e *eviction) error {
	key := client.ObjectKeyFromObject(pod)
	r.recorder.Event(pod, corev1.EventTypeNormal, reasonEviction, messageDelete)
	if podapi.GetCondition(&pod.Status, corev1.DisruptionTarget) == nil {
		marked := pod.DeepCopy()
		marked.Status.Conditions = append(marked.Status.Conditions, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: reasonCondition, Message: messageCondition,
			LastTransitionTime: metav1.NewTime(r.clock.Now()), ObservedGeneration: pod.Generation,
		})
		if err := r.client.Status().Patch(ctx, marked, client.StrategicMergeFrom(pod)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("marking pod %s as a target of disruption: %w", key, err)
		}
	}
	named := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}
	err := r.client.Delete(ctx, named, client.Preconditions{UID: &pod.UID})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("deleting pod %s: %w", key, err)
	}
	r.metrics.deletions.Inc()
	r.metrics.latency.Observe(r.clock.Since(e.at).Seconds())
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rule := range e.rules {
		r.evicted[rule.UID]++
	}
	return nil
}

// tellOf has the status of rules looked at when the pods' part of it is settled.
func (r *Reconciler) tellOf(rules []*resourcev1.DeviceTaintRule) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rule := range rules {
		if r.rules != nil {
			r.rules.AddAfter(reconcile.Request{NamespacedName: types.NamespacedName{Name: rule.Name}}, rulePeriod)
		}
	}
}
