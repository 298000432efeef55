package serviceaccount

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name, as upstream's.
const Name = "serviceaccount-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "serviceaccount"

// Reconciler creates the wanted ServiceAccounts of a namespace. A request names
// a Namespace.
type Reconciler struct {
	client client.Client
	wanted []string
}

// New returns a reconciler that keeps the accounts named in wanted in every
// active namespace; without any it keeps "default".
func New(d controllers.Deps, wanted ...string) *Reconciler {
	if len(wanted) == 0 {
		wanted = []string{"default"}
	}
	return &Reconciler{client: d.Client, wanted: slices.Clone(wanted)}
}

func (r *Reconciler) wantedDeleted() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return false },
		UpdateFunc:  func(event.UpdateEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
		DeleteFunc:  func(e event.DeleteEvent) bool { return slices.Contains(r.wanted, e.Object.GetName()) },
	}
}

func toNamespace(_ context.Context, o client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: o.GetNamespace()}}}
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var ns corev1.Namespace
	if err := r.client.Get(ctx, types.NamespacedName{Name: req.Name}, &ns, client.UnsafeDisableDeepCopy); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !active(&ns) {
		return reconcile.Result{}, nil
	}
	exists, err := r.observe(ctx, ns.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	var errs []error
	for _, sa := range plan(&ns, r.wanted, exists) {
		if err := r.client.Create(ctx, sa); err != nil && !harmless(err) {
			errs = append(errs, fmt.Errorf("creating service account %s/%s: %w", sa.Namespace, sa.Name, err))
		}
	}
	return reconcile.Result{}, errors.Join(errs...)
}

func (r *Reconciler) observe(ctx context.Context, namespace string) (map[string]bool, error) {
	exists := make(map[string]bool, len(r.wanted))
	for _, name := range r.wanted {
		var sa corev1.ServiceAccount
		err := r.client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &sa, client.UnsafeDisableDeepCopy)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("getting service account %s/%s: %w", namespace, name, err)
		}
		exists[name] = err == nil
	}
	return exists, nil
}

// harmless reports whether a failed create needs no retry: the account is
// there already, or its namespace is on its way out.
func harmless(err error) bool {
	return apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) ||
		apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}
