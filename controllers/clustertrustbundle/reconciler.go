package clustertrustbundle

import (
	"context"
	"errors"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/syncs"
)

// KubeAPIServerServing is the signer of the API server's certificate.
const KubeAPIServerServing = "kubernetes.io/kube-apiserver-serving"

// Name is the controller's name, as upstream's.
const Name = "kube-apiserver-serving-clustertrustbundle-publisher-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "ca_cert_publisher_cluster_trust_bundles"

// Publisher keeps the bundle of one signer. A request names the signer.
type Publisher struct {
	client client.Client
	signer string
	ca     func() []byte

	metrics syncs.Counter
}

// New returns a Publisher. ca returns the signer's authorities, PEM; it must be cheap and safe for
// concurrent use. Nothing is published while they are empty.
func New(d controllers.Deps, signer string, ca func() []byte) *Publisher {
	return &Publisher{client: d.Client, signer: signer, ca: ca, metrics: newMetrics()}
}

// Reconcile implements reconcile.Reconciler.
func (p *Publisher) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	began := time.Now()
	err := p.publish(ctx)
	p.metrics.Synced(time.Since(began), err)
	return reconcile.Result{}, err
}

func (p *Publisher) publish(ctx context.Context) error {
	authorities := string(p.ca())
	if authorities == "" {
		return nil
	}
	var list certificatesv1.ClusterTrustBundleList
	if err := p.client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing cluster trust bundles: %w", err)
	}
	a := plan(p.signer, authorities, list.Items)
	var err error
	switch {
	case a.create != nil:
		err = p.client.Create(ctx, a.create)
	case a.update != nil:
		err = p.client.Update(ctx, a.update)
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("publishing the authorities of %s: %w", p.signer, err)
	}
	var errs []error
	for _, b := range a.remove {
		if err := p.client.Delete(ctx, b.DeepCopy(), client.Preconditions{UID: &b.UID}); err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("deleting cluster trust bundle %s: %w", b.Name, err))
		}
	}
	return errors.Join(errs...)
}
