package certificates

import (
	"context"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
)

// Cleaner deletes requests at their deadlines.
type Cleaner struct {
	client client.Client
	clock  clock.PassiveClock
}

// NewCleaner returns a Cleaner.
func NewCleaner(d controllers.Deps) *Cleaner {
	return &Cleaner{client: d.Client, clock: d.Clock}
}

// Reconcile implements reconcile.Reconciler.
func (c *Cleaner) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var r certificatesv1.CertificateSigningRequest
	if err := c.client.Get(ctx, req.NamespacedName, &r, client.UnsafeDisableDeepCopy); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	at, ok := deadline(&r)
	if !ok {
		return reconcile.Result{}, nil
	}
	return c.deleteAt(ctx, &r, at)
}

func (c *Cleaner) cleanPodRequest(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var r certificatesv1.PodCertificateRequest
	if err := c.client.Get(ctx, req.NamespacedName, &r, client.UnsafeDisableDeepCopy); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	return c.deleteAt(ctx, &r, r.CreationTimestamp.Add(podCertsKept))
}

func (c *Cleaner) deleteAt(ctx context.Context, o client.Object, at time.Time) (reconcile.Result, error) {
	// A deadline is passed, not met: times in objects are whole seconds.
	if wait := at.Sub(c.clock.Now()); wait >= 0 {
		return reconcile.Result{RequeueAfter: wait + time.Second}, nil
	}
	err := c.client.Delete(ctx, o, client.Preconditions{UID: ptr.To(o.GetUID())})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return reconcile.Result{}, fmt.Errorf("unable to delete %s: %w", client.ObjectKeyFromObject(o), err)
	}
	return reconcile.Result{}, nil
}
