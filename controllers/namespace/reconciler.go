package namespace

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/pace"
)

// Name is the controller's name, as upstream's.
const Name = "namespace-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "namespace"

// podEventInterval is how often the ends of its pods may wake a namespace.
const podEventInterval = 50 * time.Millisecond

// Config holds the dependencies of a Reconciler. All fields are required.
type Config struct {
	// Metadata lists and deletes objects of any resource, past the cache.
	Metadata metadata.Interface
	// Resources lists the resources that exist.
	Resources Discoverer
}

// Reconciler empties and finalizes namespaces. Make it with New.
type Reconciler struct {
	config Config
	client client.Client
	clock  clock.Clock
	pacer  *pace.Pacer

	mu sync.Mutex
	// terminating are the namespaces whose pods' ends are waited for.
	terminating map[string]*progress
}

// progress is the state of a namespace that is being deleted. Losing it costs a
// wait of at most lastRetry.
type progress struct {
	uid      types.UID
	attempts int
	reworded time.Time
}

// New returns a Reconciler.
func New(d controllers.Deps, c Config) *Reconciler {
	return &Reconciler{config: c, client: d.Client, clock: d.Clock, pacer: pace.New(d.Clock, podEventInterval), terminating: map[string]*progress{}}
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// namespaceHandler passes over what a reconcile writes itself, for which it
// has planned the next look already.
func namespaceHandler() handler.EventHandler {
	add := func(o client.Object, q queue) {
		if o.GetDeletionTimestamp() != nil {
			q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: o.GetName()}})
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { add(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			old, ok1 := e.ObjectOld.(*corev1.Namespace)
			ns, ok2 := e.ObjectNew.(*corev1.Namespace)
			if ok1 && ok2 && old.ResourceVersion != ns.ResourceVersion &&
				old.DeletionTimestamp != nil && len(old.Spec.Finalizers) == len(ns.Spec.Finalizers) {
				return
			}
			add(e.ObjectNew, q)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { add(e.Object, q) },
	}
}

func (r *Reconciler) podHandler() handler.EventHandler {
	return handler.Funcs{
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			name := e.Object.GetNamespace()
			r.mu.Lock()
			_, waiting := r.terminating[name]
			r.mu.Unlock()
			if waiting {
				r.pacer.Enqueue(q, reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
			}
		},
	}
}

// Reconcile empties one namespace as far as it can be emptied now.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	ns := &corev1.Namespace{}
	err := r.client.Get(ctx, req.NamespacedName, ns)
	if err != nil || NextStep(ns) == Nothing {
		r.forget(req)
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	r.pacer.Mark(req)
	p := r.progressOf(ns)
	c := content{cache: r.client, metadata: r.config.Metadata, discovery: r.config.Resources, namespace: ns.Name}
	report := c.empty(ctx)
	if !report.Done() {
		return r.wait(ctx, ns, p, report)
	}
	finalized := Finalized(ns)
	if err := r.client.SubResource("finalize").Update(ctx, finalized); err != nil {
		return r.again(p, fmt.Errorf("finalizing: %w", err))
	}
	r.forget(req)
	return reconcile.Result{}, nil
}

// wait writes into the namespace's conditions what its deletion waits for.
func (r *Reconciler) wait(ctx context.Context, ns *corev1.Namespace, p *progress, report *Report) (reconcile.Result, error) {
	now := r.clock.Now()
	conditions, change := Conditions(ns.Status.Conditions, report, now)
	terminating := ns.Status.Phase == corev1.NamespaceTerminating
	if change == Different || change == Reworded && now.Sub(p.reworded) >= rewordInterval || !terminating {
		p.reworded = now
		ns.Status.Conditions, ns.Status.Phase = conditions, corev1.NamespaceTerminating
		if err := r.client.Status().Update(ctx, ns); err != nil {
			return r.again(p, fmt.Errorf("writing conditions: %w", err))
		}
	}
	if n := report.Remaining[pods]; n > 0 && len(report.DeleteErrors) == 0 {
		// The end of a pod triggers a reconcile; this is for an event that is lost.
		return reconcile.Result{RequeueAfter: lastRetry}, nil
	}
	for _, err := range append(report.DeleteErrors, report.DiscoveryError) {
		if err != nil {
			log.FromContext(ctx).V(1).Info("cannot empty the namespace yet", "error", err)
		}
	}
	return r.again(p, nil)
}

// again plans the next attempt. Conflicts only mean that the cache is behind.
func (r *Reconciler) again(p *progress, err error) (reconcile.Result, error) {
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return reconcile.Result{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	after := Retry(p.attempts)
	p.attempts++
	return reconcile.Result{RequeueAfter: after}, nil
}

func (r *Reconciler) progressOf(ns *corev1.Namespace) *progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.terminating[ns.Name]
	if p == nil || p.uid != ns.UID {
		p = &progress{uid: ns.UID}
		r.terminating[ns.Name] = p
	}
	return p
}

func (r *Reconciler) forget(req reconcile.Request) {
	r.mu.Lock()
	delete(r.terminating, req.Name)
	r.mu.Unlock()
	r.pacer.Forget(req)
}
