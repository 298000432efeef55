package bootstrap

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	api "k8s.io/cluster-bootstrap/token/api"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
)

// Names of the controllers and of their queues in metrics, as upstream's.
const (
	SignerName  = "bootstrap-signer-controller"
	CleanerName = "token-cleaner-controller"

	SignerQueueName  = "bootstrap_signer_queue"
	CleanerQueueName = "token_cleaner"
)

// Signer keeps the signatures of cluster-info. Make it with NewSigner.
type Signer struct {
	client client.Client
	clock  clock.PassiveClock
}

// NewSigner returns a Signer.
func NewSigner(d controllers.Deps) *Signer {
	return &Signer{client: d.Client, clock: d.Clock}
}

func clusterInfo() client.ObjectKey {
	return client.ObjectKey{Namespace: metav1.NamespacePublic, Name: api.ConfigMapClusterInfo}
}

// tokens passes bootstrap tokens.
func tokens() predicate.Predicate {
	return predicate.NewPredicateFuncs(func(o client.Object) bool {
		s, ok := o.(*corev1.Secret)
		return ok && s.Namespace == metav1.NamespaceSystem && s.Type == api.SecretTypeBootstrapToken
	})
}

// Reconcile signs cluster-info.
func (s *Signer) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	info := &corev1.ConfigMap{}
	if err := s.client.Get(ctx, req.NamespacedName, info); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	var list corev1.SecretList
	if err := s.client.List(ctx, &list, client.InNamespace(metav1.NamespaceSystem), client.UnsafeDisableDeepCopy); err != nil {
		return reconcile.Result{}, fmt.Errorf("listing bootstrap tokens: %w", err)
	}
	data, changed, err := Sign(info.Data, list.Items, s.clock.Now())
	if err != nil || !changed {
		return reconcile.Result{}, err
	}
	info.Data = data
	if err := s.client.Update(ctx, info); client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		return reconcile.Result{}, fmt.Errorf("writing signatures: %w", err)
	}
	return reconcile.Result{}, nil
}

// Cleaner deletes expired tokens. Make it with NewCleaner.
type Cleaner struct {
	client client.Client
	clock  clock.PassiveClock
}

// NewCleaner returns a Cleaner.
func NewCleaner(d controllers.Deps) *Cleaner {
	return &Cleaner{client: d.Client, clock: d.Clock}
}

// Reconcile deletes one token if it has expired.
func (c *Cleaner) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	s := &corev1.Secret{}
	if err := c.client.Get(ctx, req.NamespacedName, s, client.UnsafeDisableDeepCopy); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	in, expired := Expiry(s, c.clock.Now())
	if !expired {
		return reconcile.Result{RequeueAfter: in}, nil
	}
	gone := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name}}
	err := c.client.Delete(ctx, gone, client.Preconditions{UID: &s.UID})
	if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		return reconcile.Result{}, fmt.Errorf("deleting expired token %s: %w", req.NamespacedName, err)
	}
	return reconcile.Result{}, nil
}
