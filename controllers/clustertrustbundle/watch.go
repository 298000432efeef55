package clustertrustbundle

import (
	"context"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// SetupWithManager wakes the Publisher at the start, and for the signer's bundles.
func (p *Publisher) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	signer := reconcile.Request{NamespacedName: types.NamespacedName{Name: p.signer}}
	return ctrl.NewControllerManagedBy(mgr).Named(Name).
		Watches(&certificatesv1.ClusterTrustBundle{}, handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
			if b, ok := o.(*certificatesv1.ClusterTrustBundle); !ok || b.Spec.SignerName != p.signer {
				return nil
			}
			return []reconcile.Request{signer}
		})).
		WatchesRawSource(source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
			q.Add(signer)
			return nil
		})).
		WithOptions(opts).Complete(p)
}
