package localpath

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	volumes "k8s.io/component-helpers/storage/volume"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
)

// RemoverName is the controller's name.
const RemoverName = "local-path-remover"

// Remover deletes released volumes whose data are within its reach. A server
// with nodes needs one besides the provisioner when that may run in another one.
type Remover struct {
	client client.Client
	host   Host
}

// NewRemover returns a Remover.
func NewRemover(d controllers.Deps, host Host) *Remover { return &Remover{d.Client, host} }

// Reconcile implements reconcile.Reconciler.
func (r *Remover) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var pv corev1.PersistentVolume
	if err := r.client.Get(ctx, req.NamespacedName, &pv); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !released(&pv) {
		return reconcile.Result{}, nil
	}
	reached, err := r.host.Remove(pv.Annotations[volumes.AnnSelectedNode], pv.Spec.HostPath.Path)
	if err != nil || !reached {
		return reconcile.Result{}, err
	}
	if err := forget(ctx, r.client, &pv); !apierrors.IsConflict(err) {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, nil // another volume of that name, whose event triggers a reconcile
}
