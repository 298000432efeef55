package nodeipam

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name, as upstream's.
const Name = "node-ipam-controller"

// Events, in upstream's words.
const (
	reasonNone    = "CIDRNotAvailable"
	reasonFailed  = "CIDRAssignmentFailed"
	messageStatus = "Node %s status is now: %s"
)

// Config holds what a Reconciler needs. Fields without a default are required.
type Config struct {
	// Ranges are the process's.
	Ranges *Ranges
	// Expect makes Ranges expect the nodes that are about to register with ranges of
	// their own, wherever they got them. It is called before a range is chosen.
	// Default: none are.
	Expect func(context.Context) error
	// Optional reports that a node does without if there is nothing left; then no
	// event is made of it. Default: none does.
	Optional func(*corev1.Node) bool
}

// Reconciler gives one node its ranges. A request names a Node.
type Reconciler struct {
	config   Config
	client   client.Client
	recorder record.EventRecorder

	mu     sync.Mutex
	primed bool
	// waiting are nodes for which there was nothing, by name, with the UID of the
	// object that the event spoke of.
	waiting map[string]types.UID
	enqueue func(node string)
}

// New returns a Reconciler.
func New(d controllers.Deps, config Config) *Reconciler {
	if config.Optional == nil {
		config.Optional = func(*corev1.Node) bool { return false }
	}
	if config.Expect == nil {
		config.Expect = func(context.Context) error { return nil }
	}
	return &Reconciler{config: config, client: d.Client, recorder: d.Recorder("cidrAllocator"), waiting: map[string]types.UID{}, enqueue: func(string) {}}
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

func request(node string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: node}}
}

func nodeHandler() handler.TypedEventHandler[*corev1.Node, reconcile.Request] {
	return handler.TypedFuncs[*corev1.Node, reconcile.Request]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[*corev1.Node], q queue) {
			q.Add(request(e.Object.Name))
		},
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[*corev1.Node], q queue) {
			if e.ObjectOld.UID != e.ObjectNew.UID || len(e.ObjectOld.Spec.PodCIDRs) != len(e.ObjectNew.Spec.PodCIDRs) {
				q.Add(request(e.ObjectNew.Name))
			}
		},
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[*corev1.Node], q queue) {
			q.Add(request(e.Object.Name))
		},
	}
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	if err := r.prime(ctx); err != nil {
		return reconcile.Result{}, err
	}
	var node corev1.Node
	err := r.client.Get(ctx, req.NamespacedName, &node, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		r.forget(req.Name)
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("getting node %s: %w", req.Name, err)
	}
	if len(node.Spec.PodCIDRs) == 0 {
		if err := r.config.Expect(ctx); err != nil {
			return reconcile.Result{}, err
		}
	}
	ranges, ok, first := r.decide(&node)
	switch {
	case len(node.Spec.PodCIDRs) > 0:
		return reconcile.Result{}, nil
	case !ok:
		if first && !r.config.Optional(&node) {
			r.event(&node, reasonNone)
		}
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, r.give(ctx, &node, ranges)
}

// prime looks at all nodes before the first is given anything.
func (r *Reconciler) prime(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.primed {
		return nil
	}
	var nodes corev1.NodeList
	if err := r.client.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	r.config.Ranges.observeAll(nodes.Items)
	r.primed = true
	return nil
}

// decide returns the ranges that a node has or gets. first is set if it is the
// first time that there is none for it.
func (r *Reconciler) decide(node *corev1.Node) (ranges []netip.Prefix, ok, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ranges, ok = r.config.Ranges.assign(node)
	if ok {
		delete(r.waiting, node.Name)
		return ranges, true, false
	}
	first = r.waiting[node.Name] != node.UID
	r.waiting[node.Name] = node.UID
	return nil, false, first
}

// forget frees what a node had, for those that wait.
func (r *Reconciler) forget(node string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiting, node)
	if !r.config.Ranges.forget(node) {
		return
	}
	for name := range r.waiting {
		r.enqueue(name)
	}
}

// give writes a node's ranges. The server refuses to change what a node has, so
// nothing is overwritten.
func (r *Reconciler) give(ctx context.Context, node *corev1.Node, ranges []netip.Prefix) error {
	next := node.DeepCopy()
	for _, p := range ranges {
		next.Spec.PodCIDRs = append(next.Spec.PodCIDRs, p.String())
	}
	next.Spec.PodCIDR = next.Spec.PodCIDRs[0]
	err := r.client.Patch(ctx, next, client.MergeFrom(node))
	if apierrors.IsNotFound(err) || apierrors.IsInvalid(err) {
		return nil // It is gone or has others; the event that the cache lacks triggers a reconcile.
	}
	if err != nil {
		r.event(node, reasonFailed)
		return fmt.Errorf("giving node %s its range of pod addresses: %w", node.Name, err)
	}
	return nil
}

func (r *Reconciler) event(node *corev1.Node, reason string) {
	r.recorder.Eventf(&corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID},
		corev1.EventTypeNormal, reason, messageStatus, node.Name, reason)
}
