package tokens

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Name is the controller's name, as upstream's.
const Name = "serviceaccount-token-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "serviceaccount_tokens_service"

// TokenGenerator signs tokens. It is called concurrently.
type TokenGenerator interface {
	// Generate returns a token without an end for the account, bound to the
	// Secret: it is worth nothing once the Secret is gone.
	Generate(sa *corev1.ServiceAccount, secret *corev1.Secret) (string, error)
}

// Config holds what a Reconciler needs.
type Config struct {
	// Client reads Secrets and ServiceAccounts from a cache, and writes
	// Secrets. Required.
	Client client.Client
	// Live reads from the server, past every cache. Required.
	Live client.Reader
	// Tokens signs. Required.
	Tokens TokenGenerator
	// CA returns the PEM bundle for ca.crt; nil or an empty one leaves ca.crt
	// alone.
	CA func() []byte
}

// Reconciler keeps one legacy token. A request names a Secret.
type Reconciler struct {
	config Config
}

// New returns a Reconciler.
func New(c Config) *Reconciler {
	if c.CA == nil {
		c.CA = func() []byte { return nil }
	}
	return &Reconciler{config: c}
}

// SetupWithManager wakes the reconciler for token Secrets, and for those of an
// account that comes or goes.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	isToken := predicate.NewPredicateFuncs(func(o client.Object) bool {
		s, ok := o.(*corev1.Secret)
		return ok && s.Type == corev1.SecretTypeServiceAccountToken
	})
	comesOrGoes := predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }}
	return ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		For(&corev1.Secret{}, builder.WithPredicates(isToken)).
		Watches(&corev1.ServiceAccount{}, handler.EnqueueRequestsFromMapFunc(r.secretsOf), builder.WithPredicates(comesOrGoes)).
		WithOptions(opts).
		Complete(r)
}

func (r *Reconciler) secretsOf(ctx context.Context, sa client.Object) []reconcile.Request {
	var list corev1.SecretList
	if err := r.config.Client.List(ctx, &list, client.InNamespace(sa.GetNamespace()), client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing the token secrets of a service account", "account", sa.GetName())
		return nil
	}
	var reqs []reconcile.Request
	for i := range list.Items {
		if a, ok := accountOf(&list.Items[i]); ok && a.name == sa.GetName() {
			reqs = append(reqs, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return reqs
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var secret corev1.Secret
	if err := r.config.Client.Get(ctx, req.NamespacedName, &secret, client.UnsafeDisableDeepCopy); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	a, ok := accountOf(&secret)
	if !ok || secret.DeletionTimestamp != nil {
		return reconcile.Result{}, nil
	}
	sa, err := r.find(ctx, secret.Namespace, a)
	if err != nil {
		return reconcile.Result{}, err
	}
	if sa == nil {
		err := r.config.Client.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: secret.Name}},
			client.Preconditions{UID: &secret.UID})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return reconcile.Result{}, fmt.Errorf("deleting secret %s of an account that is gone: %w", req, err)
		}
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, r.fill(ctx, &secret, sa)
}

// find returns the account, nil if it does not exist. It returns nil only after
// a read from the server.
func (r *Reconciler) find(ctx context.Context, namespace string, a account) (*corev1.ServiceAccount, error) {
	for _, reader := range []client.Reader{r.config.Client, r.config.Live} {
		var sa corev1.ServiceAccount
		err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: a.name}, &sa)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("getting service account %s/%s: %w", namespace, a.name, err)
		}
		if err == nil && a.meant(&sa) {
			return &sa, nil
		}
	}
	return nil, nil
}

func (r *Reconciler) fill(ctx context.Context, secret *corev1.Secret, sa *corev1.ServiceAccount) error {
	var token string
	if needsToken(secret) {
		var err error
		if token, err = r.config.Tokens.Generate(sa, secret); err != nil {
			return fmt.Errorf("generating a token for secret %s/%s: %w", secret.Namespace, secret.Name, err)
		}
	}
	update := plan(secret, sa, r.config.CA(), token)
	if update == nil {
		return nil
	}
	err := r.config.Client.Update(ctx, update)
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return fmt.Errorf("filling token secret %s/%s: %w", secret.Namespace, secret.Name, err)
	}
	return nil
}
