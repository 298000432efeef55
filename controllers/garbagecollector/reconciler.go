package garbagecollector

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name, as upstream's.
const Name = "garbage-collector-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "garbage_collector_attempt_to_delete"

// DefaultConcurrency is the number of objects collected at once, upstream's
// default of --concurrent-gc-syncs.
const DefaultConcurrency = 20

// syncLimit is how long the first lists may take before collection starts
// without those that are missing.
const syncLimit = 30 * time.Second

// Config holds what a Reconciler needs. All fields but the last are required.
type Config struct {
	// Cache has the informers; kinds of its scheme are watched typed.
	Cache cache.Cache
	// Resources are the kinds to monitor.
	Resources Resources
	// NewQueue makes the work queue; default controller-runtime's.
	NewQueue func(name string, limiter workqueue.TypedRateLimiter[Work]) workqueue.TypedRateLimitingInterface[Work]
}

// Work is the type of the queue's items.
type Work = work

// Reconciler is the garbage collector. Requests are nodes of its graph.
type Reconciler struct {
	config     Config
	client     client.Client
	live       client.Reader
	recorder   record.EventRecorder
	monitors   *monitors
	syncErrors prometheus.Counter

	mu    sync.Mutex
	graph *graph
	queue queue
}

type queue = workqueue.TypedRateLimitingInterface[work]

// New returns a collector. It starts nothing.
func New(d controllers.Deps, c Config) *Reconciler {
	r := &Reconciler{config: c, client: d.Client, live: d.Live, recorder: d.Recorder(Name), graph: newGraph(), syncErrors: newSyncErrors()}
	r.monitors = &monitors{
		cache: c.Cache, scheme: d.Client.Scheme(),
		on: r.observe, gone: r.gone,
		running: map[schema.GroupVersionKind]monitor{},
	}
	return r
}

// graphSource feeds the queue from the graph, and the graph from informers.
type graphSource struct{ r *Reconciler }

var _ source.TypedSyncingSource[work] = &graphSource{}

// Start implements source.TypedSource.
func (s *graphSource) Start(ctx context.Context, q workqueue.TypedRateLimitingInterface[work]) error {
	s.r.mu.Lock()
	s.r.queue = q
	s.r.mu.Unlock()
	changed := s.r.config.Resources.Changed()
	_, incomplete := s.r.monitors.sync(ctx, s.r.config.Resources.Kinds())
	go s.r.follow(ctx, changed, incomplete)
	return nil
}

// WaitForSync implements source.TypedSyncingSource.
func (s *graphSource) WaitForSync(ctx context.Context) error {
	s.r.monitors.wait(ctx, syncLimit)
	return ctx.Err()
}

// follow keeps the monitored kinds up to date until ctx is done.
func (r *Reconciler) follow(ctx context.Context, changed <-chan struct{}, incomplete bool) {
	for {
		var retry <-chan time.Time
		if incomplete {
			r.syncErrors.Inc()
			retry = time.After(retryMonitors)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
			changed = r.config.Resources.Changed()
		case <-retry:
		}
		var dropped []schema.GroupVersionKind
		dropped, incomplete = r.monitors.sync(ctx, r.config.Resources.Kinds())
		for _, gvk := range dropped {
			apiVersion, kind := gvk.ToAPIVersionAndKind()
			r.mu.Lock()
			r.graph.unsee(func(id Identity) bool { return id.APIVersion == apiVersion && id.Kind == kind })
			r.mu.Unlock()
		}
	}
}

// retryMonitors is the pause before kinds are tried again that could not be
// monitored.
const retryMonitors = 2 * time.Second

func (r *Reconciler) observe(gvk schema.GroupVersionKind, o metav1.Object) {
	obj := objectOf(gvk, o)
	r.mu.Lock()
	out := r.graph.observe(obj)
	r.mu.Unlock()
	r.enqueue(out)
}

func (r *Reconciler) gone(gvk schema.GroupVersionKind, o metav1.Object) {
	id := objectOf(gvk, o).Identity
	r.mu.Lock()
	out := r.graph.forget(id)
	r.mu.Unlock()
	r.enqueue(out)
}

func (r *Reconciler) enqueue(out outcome) {
	for _, w := range out.look {
		r.queue.Add(w)
	}
	for _, i := range out.invalid {
		r.recorder.Eventf(reference(i.Dependent), corev1.EventTypeWarning, reasonInvalidNamespace,
			messageInvalidNamespace, describe(i.Owner), i.Dependent.Namespace)
	}
}

// Reconcile implements reconcile.TypedReconciler.
func (r *Reconciler) Reconcile(ctx context.Context, w work) (reconcile.Result, error) {
	if w.Release {
		return reconcile.Result{}, r.release(ctx, w.UID)
	}
	facts := map[Identity]ownerState{}
	for {
		r.mu.Lock()
		v := r.graph.decide(w.UID, facts)
		r.mu.Unlock()
		for _, also := range v.look {
			r.queue.Add(also)
		}
		if v.kind != askOwners {
			return r.apply(ctx, v)
		}
		if err := r.ask(ctx, v, facts); err != nil {
			return reconcile.Result{}, err
		}
	}
}

// apply carries a verdict out. Its writes come back as events.
func (r *Reconciler) apply(ctx context.Context, v verdict) (reconcile.Result, error) {
	id := v.object.Identity
	switch v.kind {
	case verify:
		return r.verify(ctx, id)
	case patchOwners:
		return reconcile.Result{}, r.patchOwners(ctx, &v.object, v.owners)
	case unblockAndDelete:
		if err := r.patchOwners(ctx, &v.object, v.owners); err != nil {
			return reconcile.Result{}, err
		}
		return reconcile.Result{}, r.delete(ctx, id, "", v.owners, v.policy)
	case remove:
		return reconcile.Result{}, r.delete(ctx, id, v.object.ResourceVersion, v.object.Owners, v.policy)
	case finish:
		return reconcile.Result{}, r.removeFinalizer(ctx, id, metav1.FinalizerDeleteDependents)
	}
	return reconcile.Result{}, nil
}

// verify finds out whether a virtual node's object exists. One that exists is
// read again until its informer delivers it, should it never do so.
func (r *Reconciler) verify(ctx context.Context, id Identity) (reconcile.Result, error) {
	_, state, err := r.read(ctx, id)
	if err != nil {
		return reconcile.Result{}, err
	}
	if state == absent {
		r.mu.Lock()
		out := r.graph.disprove(id)
		r.mu.Unlock()
		r.enqueue(out)
		return reconcile.Result{}, nil
	}
	if state == unresolvable {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{RequeueAfter: verifyAgain}, nil
}

// verifyAgain is the wait for an informer to deliver an object that exists.
const verifyAgain = 2 * time.Second

// ask reads the owners that the verdict lists and records the results.
func (r *Reconciler) ask(ctx context.Context, v verdict, facts map[Identity]ownerState) error {
	for _, id := range v.ask {
		_, state, err := r.read(ctx, id)
		if err != nil {
			return err
		}
		facts[id] = state
		if state == absent {
			r.mu.Lock()
			r.graph.absent.Add(id, nil)
			r.mu.Unlock()
		}
	}
	return nil
}

// release takes the owner uid out of its dependents, then lets it go. Dependents
// that informers have not reported yet are found by lists: they would be deleted
// as soon as their owner is gone.
func (r *Reconciler) release(ctx context.Context, uid types.UID) error {
	r.mu.Lock()
	n := r.graph.nodes[uid]
	if n == nil || !n.orphaning() {
		r.mu.Unlock()
		return nil
	}
	id, dependents := n.Identity, r.graph.dependentsOf(uid)
	r.mu.Unlock()
	drop := func(ctx context.Context, d *Object) error { return r.patchOwners(ctx, d, without(d.Owners, uid)) }
	err := r.each(ctx, dependents, drop)
	if err == nil {
		dependents, err = r.liveDependents(ctx, id)
	}
	if err == nil {
		err = r.each(ctx, dependents, drop)
	}
	if err != nil {
		return fmt.Errorf("orphaning the dependents of %s: %w", id, err)
	}
	return r.removeFinalizer(ctx, id, metav1.FinalizerOrphanDependents)
}
