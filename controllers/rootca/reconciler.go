package rootca

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/syncs"
)

// Name is the controller's name, as upstream's.
const Name = "root-ca-certificate-publisher-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "root_ca_cert_publisher"

// Reconciler publishes the authority to one namespace. A request names a
// Namespace.
type Reconciler struct {
	client  client.Client
	config  Config
	metrics syncs.Counter
}

// Config holds the authority to publish.
type Config struct {
	// CA returns the PEM bundle to publish. It is asked at every reconcile and
	// must be cheap and safe for concurrent use. Required.
	CA func() []byte
	// Changed, when not nil, is sent to when CA returns something new: every
	// namespace is then written again. The event's object is not looked at.
	Changed <-chan event.GenericEvent
}

// New returns a publisher.
func New(d controllers.Deps, config Config) *Reconciler {
	return &Reconciler{client: d.Client, config: config, metrics: newMetrics()}
}

// published lets ConfigMaps of the one name pass, new ones too: a user may have
// made one before the publisher.
func published() predicate.Predicate {
	return predicate.NewPredicateFuncs(func(o client.Object) bool { return o.GetName() == ConfigMapName })
}

func toNamespace(_ context.Context, o client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: o.GetNamespace()}}}
}

func (r *Reconciler) everyNamespace(ctx context.Context, _ client.Object) []reconcile.Request {
	var list corev1.NamespaceList
	if err := r.client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing namespaces to publish a new authority to")
		return nil
	}
	reqs := make([]reconcile.Request, len(list.Items))
	for i := range list.Items {
		reqs[i].Name = list.Items[i].Name
	}
	return reqs
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	began := time.Now()
	err := r.publish(ctx, req)
	r.metrics.Synced(time.Since(began), err)
	return reconcile.Result{}, err
}

func (r *Reconciler) publish(ctx context.Context, req reconcile.Request) error {
	var ns corev1.Namespace
	if err := r.client.Get(ctx, types.NamespacedName{Name: req.Name}, &ns, client.UnsafeDisableDeepCopy); err != nil {
		return client.IgnoreNotFound(err)
	}
	if !ns.DeletionTimestamp.IsZero() || ns.Status.Phase == corev1.NamespaceTerminating {
		return nil
	}
	existing := &corev1.ConfigMap{}
	err := r.client.Get(ctx, types.NamespacedName{Namespace: ns.Name, Name: ConfigMapName}, existing, client.UnsafeDisableDeepCopy)
	switch {
	case apierrors.IsNotFound(err):
		existing = nil
	case err != nil:
		return fmt.Errorf("getting config map %s/%s: %w", ns.Name, ConfigMapName, err)
	}
	create, update := plan(ns.Name, string(r.config.CA()), existing)
	switch {
	case create != nil:
		if err := r.client.Create(ctx, create); err != nil && !harmless(err) {
			return fmt.Errorf("creating config map %s/%s: %w", ns.Name, ConfigMapName, err)
		}
	case update != nil:
		if err := r.client.Update(ctx, update); err != nil && !harmless(err) {
			return fmt.Errorf("updating config map %s/%s: %w", ns.Name, ConfigMapName, err)
		}
	}
	return nil
}

// harmless reports whether a failed write needs no retry: the namespace is
// being deleted, or the ConfigMap's own event will trigger a reconcile.
func harmless(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err) ||
		apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}
