package nodelifecycle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"golang.org/x/sync/errgroup"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/alarm"
)

// Name is the controller's name, as upstream's.
const Name = "node-lifecycle-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "node_lifecycle_controller"

// podParallelism is how many pods of a silent node are marked at once.
const podParallelism = 16

// Reconciler keeps the conditions and taints of one node. A request names a
// Node.
type Reconciler struct {
	client client.Client
	// live has the Leases, before a node is declared Unknown; nil trusts the cache.
	live     client.Reader
	clock    clock.Clock
	recorder record.EventRecorder
	config   Config
	alarms   *alarm.Clock[string]
	watch    *watch
	metrics  metrics
}

// New returns a Reconciler.
func New(d controllers.Deps, config Config) *Reconciler {
	config = config.complete()
	w := newWatch(config.rates())
	return &Reconciler{
		client: d.Client, live: d.Live, clock: d.Clock, recorder: d.Recorder("node-controller"), config: config,
		alarms: alarm.New[string](d.Clock), watch: w, metrics: newMetrics(w.fare),
	}
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	if err := r.prime(ctx); err != nil {
		return reconcile.Result{}, err
	}
	var cached corev1.Node
	err := r.client.Get(ctx, types.NamespacedName{Name: req.Name}, &cached, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		r.forget(req.Name)
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("getting node %s: %w", req.Name, err)
	}
	began := time.Now()
	node, err := r.check(ctx, &cached)
	r.metrics.health.Observe(time.Since(began).Seconds())
	if err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, errors.Join(r.taint(ctx, node), r.markPods(ctx, node.Name))
}

// prime records the zones of every node before the first decision: with a part
// of the nodes it might seem that all are down.
func (r *Reconciler) prime(ctx context.Context) error {
	if r.watch.isPrimed() {
		return nil
	}
	var nodes corev1.NodeList
	if err := r.client.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	r.watch.prime(nodes.Items)
	return nil
}

func (r *Reconciler) forget(name string) {
	r.alarms.Cancel(name)
	uid, known, flipped := r.watch.forget(name, r.clock.Now())
	if known {
		r.recorder.Eventf(reference(name, uid), corev1.EventTypeNormal, reasonRemoving, messageRemoving, name)
	}
	if flipped {
		r.watch.wakeAll()
	}
	r.tick()
}

// check brings the conditions of a node up to date and returns it as it is then.
func (r *Reconciler) check(ctx context.Context, node *corev1.Node) (*corev1.Node, error) {
	now := r.clock.Now()
	heard, grace, first := r.watch.see(node, now, r.config)
	if first {
		r.recorder.Eventf(reference(node.Name, node.UID), corev1.EventTypeNormal, reasonRegistered, messageRegistered, node.Name)
	}
	changed, until := health(node, heard, now, grace)
	if !until.IsZero() {
		r.alarms.Set(node.Name, until)
	}
	if len(changed) > 0 {
		was := readiness(node)
		if alive, err := r.renewedMeanwhile(ctx, node.Name, was, now); alive || err != nil {
			return node, err
		}
		next := withConditions(node, changed)
		if err := r.client.Status().Patch(ctx, next.DeepCopy(), client.StrategicMergeFrom(node)); err != nil {
			return nil, fmt.Errorf("declaring node %s unknown: %w", node.Name, err)
		}
		if was == corev1.ConditionTrue {
			r.recorder.Eventf(reference(node.Name, node.UID), corev1.EventTypeNormal, reasonNotReady, messageNodeStatus, node.Name, reasonNotReady)
			r.watch.silent(node.Name)
		}
		node = next
	}
	if r.watch.place(node, now) {
		r.watch.wakeAll()
	}
	return node, nil
}

// renewedMeanwhile asks the server itself, before a node is declared Unknown,
// whether its Lease has been renewed: then the cache is behind, not the node.
func (r *Reconciler) renewedMeanwhile(ctx context.Context, name string, was corev1.ConditionStatus, now time.Time) (bool, error) {
	if r.live == nil || was == corev1.ConditionUnknown {
		return false, nil
	}
	var lease coordinationv1.Lease
	err := r.live.Get(ctx, types.NamespacedName{Namespace: corev1.NamespaceNodeLease, Name: name}, &lease)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("asking for the lease of node %s: %w", name, err)
	}
	if err != nil || lease.Spec.RenewTime == nil || lease.Spec.RenewTime.Time.Equal(r.watch.renewal(name)) {
		return false, nil
	}
	r.watch.renew(name, lease.Spec.RenewTime.Time, now)
	r.alarms.Set(name, now.Add(r.config.GracePeriod))
	return true, nil
}

// taint brings the taints and legacy labels of a node up to date.
func (r *Reconciler) taint(ctx context.Context, node *corev1.Node) error {
	granted, evict := r.watch.mayEvict(node.Name)
	taints, asks := taintsFor(node, granted, evict, r.clock.Now())
	if asks {
		r.watch.ask(node.Name)
	}
	r.tick()
	labels := labelsFor(node)
	if sameTaints(taints, node.Spec.Taints) && len(labels) == 0 {
		return nil
	}
	next := node.DeepCopy()
	next.Spec.Taints = taints
	if next.Labels == nil {
		next.Labels = map[string]string{}
	}
	maps.Copy(next.Labels, labels)
	base := node.DeepCopy()
	base.Status, next.Status = corev1.NodeStatus{}, corev1.NodeStatus{}
	patch := client.MergeFrom(base)
	if !sameTaints(taints, node.Spec.Taints) {
		// The list is written whole, so the patch must not overwrite another client's taint.
		patch = client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})
	}
	err := r.client.Patch(ctx, next, patch)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		// The cache is behind; the event that it lacks triggers the next reconcile.
		return nil
	}
	if err != nil {
		return fmt.Errorf("tainting node %s: %w", node.Name, err)
	}
	if hasNoExecute(taints) && !hasNoExecute(node.Spec.Taints) {
		r.metrics.evictions.WithLabelValues(r.watch.zoneOf(node.Name)).Inc()
	}
	return nil
}

// tick hands out what tokens there are and sets the alarm for the next.
func (r *Reconciler) tick() {
	if next := r.watch.grant(r.clock.Now()); !next.IsZero() {
		r.alarms.Set(tokens, next)
	}
}

// tokens is the alarm for the next token; no node has this name.
const tokens = "\x00tokens"

// ring answers an alarm.
func (r *Reconciler) ring(key string) {
	if key == tokens {
		r.tick()
		return
	}
	r.watch.wake(key)
}

// markPods makes the pods of a node that fell silent not ready, once per
// silence, so that they leave the endpoints of their Services.
func (r *Reconciler) markPods(ctx context.Context, node string) error {
	if !r.watch.isSilent(node) {
		return nil
	}
	var pods corev1.PodList
	if err := r.client.List(ctx, &pods, client.MatchingFields{index.PodNode: node}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing the pods of node %s: %w", node, err)
	}
	var g errgroup.Group
	g.SetLimit(podParallelism)
	for i := range pods.Items {
		pod := &pods.Items[i]
		g.Go(func() error { return r.markPod(ctx, pod) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	r.watch.marked(node)
	return nil
}

func (r *Reconciler) markPod(ctx context.Context, pod *corev1.Pod) error {
	next := pod.DeepCopy()
	for i := range next.Status.Conditions {
		c := &next.Status.Conditions[i]
		if c.Type != corev1.PodReady || c.Status == corev1.ConditionFalse {
			continue
		}
		c.Status = corev1.ConditionFalse
		c.LastTransitionTime = metav1.NewTime(r.clock.Now())
		err := r.client.Status().Patch(ctx, next, client.StrategicMergeFrom(pod))
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("marking pod %s/%s not ready: %w", pod.Namespace, pod.Name, err)
		}
		r.recorder.Event(pod, corev1.EventTypeWarning, reasonNotReady, messagePodNotReady)
		return nil
	}
	return nil
}

// reference returns how events name a node: by name and UID, as upstream's
// controllers do.
func reference(name string, uid types.UID) *corev1.ObjectReference {
	return &corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: name, UID: uid}
}
