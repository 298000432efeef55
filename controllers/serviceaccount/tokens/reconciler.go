package tokens

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
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
	// Tokens signs. Required.
	Tokens TokenGenerator
	// CA returns the PEM bundle for ca.crt; nil or an empty one leaves ca.crt
	// alone.
	CA func() []byte
}

// Reconciler keeps one legacy token. A request names a Secret.
type Reconciler struct {
	config Config
	client client.Client
	live   client.Reader
}

// New returns a Reconciler.
func New(d controllers.Deps, c Config) *Reconciler {
	if c.CA == nil {
		c.CA = func() []byte { return nil }
	}
	return &Reconciler{config: c, client: d.Client, live: d.Live}
}

func (r *Reconciler) secretsOf(ctx context.Context, sa client.Object) []reconcile.Request {
	var list corev1.SecretList
	if err := r.client.List(ctx, &list, client.InNamespace(sa.GetNamespace()), client.UnsafeDisableDeepCopy); err != nil {
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
	if err := r.client.Get(ctx, req.NamespacedName, &secret, client.UnsafeDisableDeepCopy); err != nil {
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
		err := r.client.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: secret.Name}},
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
	for _, reader := range []client.Reader{r.client, r.live} {
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
	err := r.client.Update(ctx, update)
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return fmt.Errorf("filling token secret %s/%s: %w", secret.Namespace, secret.Name, err)
	}
	return nil
}
