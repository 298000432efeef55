package legacytokens

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Tracker keeps the ConfigMap with the day since which uses of tokens are
// recorded. With upstream the API server does that.
type Tracker struct {
	client client.Client
	clock  clock.PassiveClock
}

// NewTracker makes a Tracker that reads through c's cache.
func NewTracker(c client.Client, clk clock.PassiveClock) *Tracker {
	return &Tracker{client: c, clock: clk}
}

// SetupWithManager wakes the Tracker at the start, and for its ConfigMap.
func (t *Tracker) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	name := types.NamespacedName{Namespace: "kube-system", Name: ConfigMapName}
	ours := predicate.NewPredicateFuncs(func(o client.Object) bool { return client.ObjectKeyFromObject(o) == name })
	return ctrl.NewControllerManagedBy(mgr).Named(TrackerName).
		For(&corev1.ConfigMap{}, builder.WithPredicates(ours)).
		WatchesRawSource(source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
			q.Add(reconcile.Request{NamespacedName: name})
			return nil
		})).
		WithOptions(opts).Complete(t)
}

// Reconcile implements reconcile.Reconciler.
func (t *Tracker) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	was := &corev1.ConfigMap{}
	if err := t.client.Get(ctx, req.NamespacedName, was, client.UnsafeDisableDeepCopy); apierrors.IsNotFound(err) {
		was = nil
	} else if err != nil {
		return reconcile.Result{}, err
	}
	is := track(was, t.clock.Now())
	var err error
	switch {
	case is == nil:
	case was == nil:
		err = t.client.Create(ctx, is)
	default:
		err = t.client.Update(ctx, is)
	}
	if err != nil && !apierrors.IsAlreadyExists(err) && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return reconcile.Result{}, fmt.Errorf("writing config map %s: %w", req, err)
	}
	return reconcile.Result{}, nil
}
