// Package nodettl writes into an annotation for the nodes' agents how long they
// may keep Secrets and ConfigMaps before they look again: the more nodes there
// are, the longer, so that they do not overwhelm the server.
//
// It promises that the time changes only when the number of nodes leaves a range
// that overlaps the next, so that it does not go back and forth.
//
// The API of this package is not stable: see docs/api.md.
package nodettl

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name, as upstream's.
const Name = "ttl-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "ttlcontroller"

// step is a range of numbers of nodes and the seconds that go with it. Ranges
// overlap by a tenth.
type step struct{ from, to, seconds int }

func steps() []step {
	return []step{{0, 100, 0}, {90, 500, 15}, {450, 1000, 30}, {900, 2000, 60}, {1800, math.MaxInt, 300}}
}

// Next returns the step for a number of nodes, coming from another step.
func Next(nodes, current int) int {
	all := steps()
	for current < len(all)-1 && nodes > all[current].to {
		current++
	}
	for current > 0 && nodes < all[current].from {
		current--
	}
	return current
}

// Reconciler annotates nodes. Make it with New.
type Reconciler struct {
	client client.Client

	mu    sync.Mutex
	nodes map[string]bool
	step  int
}

// New returns a Reconciler.
func New(d controllers.Deps) *Reconciler {
	return &Reconciler{client: d.Client, nodes: map[string]bool{}}
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

func (r *Reconciler) handler() handler.TypedEventHandler[*corev1.Node, reconcile.Request] {
	wake := func(n *corev1.Node, q queue) {
		if n.Annotations[corev1.ObjectTTLAnnotationKey] != r.seconds() {
			q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: n.Name}})
		}
	}
	return handler.TypedFuncs[*corev1.Node, reconcile.Request]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[*corev1.Node], q queue) {
			r.count(e.Object.Name, true)
			wake(e.Object, q)
		},
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[*corev1.Node], q queue) { wake(e.ObjectNew, q) },
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[*corev1.Node], _ queue) {
			r.count(e.Object.Name, false)
		},
	}
}

func (r *Reconciler) count(node string, there bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if there {
		r.nodes[node] = true
	} else {
		delete(r.nodes, node)
	}
	r.step = Next(len(r.nodes), r.step)
}

func (r *Reconciler) seconds() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strconv.Itoa(steps()[r.step].seconds)
}

// Reconcile annotates one node.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	node := &corev1.Node{}
	if err := r.client.Get(ctx, req.NamespacedName, node, client.UnsafeDisableDeepCopy); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	want := r.seconds()
	if node.Annotations[corev1.ObjectTTLAnnotationKey] == want {
		return reconcile.Result{}, nil
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{corev1.ObjectTTLAnnotationKey: want}}})
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("encoding patch: %w", err)
	}
	target := &corev1.Node{}
	target.Name = node.Name
	if err := r.client.Patch(ctx, target, client.RawPatch(types.MergePatchType, body)); client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("annotating node %s: %w", node.Name, err)
	}
	return reconcile.Result{}, nil
}
