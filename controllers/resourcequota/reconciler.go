package resourcequota

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/quota"
	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name, as upstream's.
const Name = "resourcequota-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "resourcequota_primary"

const (
	// recountInterval is how often every quota is recounted without a reason.
	recountInterval = 5 * time.Minute
	// unknownInterval is how soon a quota is looked at again that limits a
	// resource which does not exist (yet).
	unknownInterval = 30 * time.Second
	// eventInterval is how long after an event a quota is recounted, together
	// with all other events of that time.
	eventInterval = 100 * time.Millisecond
	// chargeInterval is how long after a charge a quota is recounted, together
	// with all others of that time.
	chargeInterval = 500 * time.Millisecond
)

// Reconciler reconciles ResourceQuotas. Make it with New.
type Reconciler struct {
	client client.Client
	clock  clock.Clock

	// controller and cache are there once SetupWithManager was called.
	controller controller.Controller
	cache      cache.Cache

	mu      sync.Mutex
	watched sets.Set[schema.GroupResource]
	// lower has the resourceVersions of quotas that were found to be used less.
	lower map[types.NamespacedName]string
}

// New returns a Reconciler. Its client needs a RESTMapper for every resource that a quota may
// count.
func New(d controllers.Deps) *Reconciler {
	return &Reconciler{client: d.Client, clock: d.Clock, watched: sets.New[schema.GroupResource](), lower: map[types.NamespacedName]string{}}
}

// Reconcile recounts one quota.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	q := &corev1.ResourceQuota{}
	if err := r.client.Get(ctx, req.NamespacedName, q); err != nil {
		r.firstLower(req.NamespacedName, "")
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	again := recountInterval
	registry := quota.NewRegistry(r.list(ctx), r.clock)
	complete, err := r.track(ctx, q, registry)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !complete {
		again = unknownInterval
	}
	measured, measureErr := quotav1.CalculateUsage(q.Namespace, q.Spec.Scopes, q.Spec.Hard, registry, q.Spec.ScopeSelector)
	if measureErr != nil {
		measureErr = fmt.Errorf("measuring usage: %w", measureErr)
	}
	if complete && q.Status.Used == nil {
		// Objects created while nothing was charged may not be in the cache yet.
		again = eventInterval
	}
	status, changed := NewStatus(q, measured)
	seen := ""
	if lowers(q.Status.Used, status.Used) {
		seen = q.ResourceVersion
	}
	if r.firstLower(req.NamespacedName, seen) {
		return reconcile.Result{RequeueAfter: eventInterval}, measureErr
	}
	if changed {
		q.Status = status
		// Conflict: admission charged something meanwhile. Its write triggers no
		// reconcile, and what it charged may not be in the cache yet.
		if err := r.client.Status().Update(ctx, q); apierrors.IsConflict(err) {
			again = eventInterval
		} else if client.IgnoreNotFound(err) != nil {
			return reconcile.Result{}, errors.Join(measureErr, fmt.Errorf("writing status: %w", err))
		}
	}
	return reconcile.Result{RequeueAfter: again}, measureErr
}

// firstLower records the version of a quota whose use is less than its status, and
// none for any other. It reports whether that version is seen for the first time.
func (r *Reconciler) firstLower(quota types.NamespacedName, version string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.lower[quota]
	delete(r.lower, quota)
	if version == "" || version == before {
		return false
	}
	r.lower[quota] = version
	return true
}

// track adds evaluators for what only count/ limits name, and watches all kinds
// that q limits. It reports whether all of them exist.
func (r *Reconciler) track(ctx context.Context, q *corev1.ResourceQuota, registry quotav1.Registry) (complete bool, err error) {
	complete = true
	for name := range q.Spec.Hard {
		gr, ok := countedResource(name)
		if !ok || registry.Get(gr) != nil {
			continue
		}
		gvr, err := r.client.RESTMapper().ResourceFor(gr.WithVersion(""))
		if meta.IsNoMatchError(err) {
			complete = false
			continue
		}
		if err != nil {
			return false, fmt.Errorf("finding resource %s: %w", gr, err)
		}
		registry.Add(quota.NewCount(r.list(ctx), gvr))
	}
	for _, e := range registry.List() {
		if !limits(q, e) {
			continue
		}
		if err := r.watch(ctx, e.GroupResource()); err != nil {
			return false, err
		}
	}
	return complete, nil
}
