package legacytokens

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
)

// Tracker keeps the ConfigMap with the day since which uses of tokens are
// recorded. With upstream the API server does that.
type Tracker struct {
	client client.Client
	clock  clock.PassiveClock
}

// NewTracker returns a Tracker.
func NewTracker(d controllers.Deps) *Tracker {
	return &Tracker{client: d.Client, clock: d.Clock}
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
