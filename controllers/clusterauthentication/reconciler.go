// Package clusterauthentication keeps the ConfigMap by which aggregated API
// servers authenticate requests, kube-system/extension-apiserver-authentication:
// https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/.
//
// The server writes it when it starts; this controller restores what other clients
// change or delete meanwhile. It wakes on that ConfigMap. Invariant: its data are
// those of this server, and nothing else.
//
// The API of this package is not stable: see docs/api.md.
package clusterauthentication

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name, as upstream's.
const Name = "cluster_authentication_trust_controller"

// ConfigMapName is the ConfigMap's name in kube-system.
const ConfigMapName = "extension-apiserver-authentication"

// Reconciler keeps the ConfigMap.
type Reconciler struct {
	client client.Client
	data   func() map[string]string
}

// New returns a Reconciler. data returns the data of the ConfigMap; nothing is written when it is
// empty.
func New(d controllers.Deps, data func() map[string]string) *Reconciler {
	return &Reconciler{client: d.Client, data: data}
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	data := r.data()
	if len(data) == 0 {
		return reconcile.Result{}, nil
	}
	var cm corev1.ConfigMap
	err := r.client.Get(ctx, req.NamespacedName, &cm)
	switch {
	case apierrors.IsNotFound(err):
		err = r.client.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: req.Namespace, Name: req.Name}, Data: data})
	case err == nil && !maps.Equal(cm.Data, data):
		cm.Data = data
		err = r.client.Update(ctx, &cm)
	}
	if err != nil && !apierrors.IsAlreadyExists(err) && !apierrors.IsConflict(err) {
		return reconcile.Result{}, fmt.Errorf("publishing config map %s: %w", req, err)
	}
	return reconcile.Result{}, nil
}
