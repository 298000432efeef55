package legacytokens

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/controllers"
)

const (
	// DefaultPeriod is upstream's --legacy-service-account-token-clean-up-period.
	DefaultPeriod = 365 * 24 * time.Hour
	// every is how often a Secret is looked at.
	every = 24 * time.Hour
)

// Cleaner ends one token. A request names a Secret.
type Cleaner struct {
	client client.Client
	clock  clock.PassiveClock
	period time.Duration
}

// NewCleaner returns a Cleaner. A token may be unused for period before it is marked, and be
// marked for as long before it goes.
func NewCleaner(d controllers.Deps, period time.Duration) *Cleaner {
	return &Cleaner{client: d.Client, clock: d.Clock, period: period}
}

// Reconcile implements reconcile.Reconciler.
func (c *Cleaner) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var secret corev1.Secret
	if err := c.client.Get(ctx, req.NamespacedName, &secret, client.UnsafeDisableDeepCopy); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	now := c.clock.Now().UTC()
	step, err := c.observe(ctx, &secret, now)
	if err != nil {
		return reconcile.Result{}, err
	}
	switch step {
	case mark:
		err = c.mark(ctx, &secret, now)
	case remove:
		err = c.client.Delete(ctx, secret.DeepCopy(), client.Preconditions{ResourceVersion: &secret.ResourceVersion})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return reconcile.Result{}, fmt.Errorf("ending the unused token in secret %s: %w", req, err)
	}
	return reconcile.Result{RequeueAfter: every}, nil
}

func (c *Cleaner) observe(ctx context.Context, secret *corev1.Secret, now time.Time) (action, error) {
	var tracking corev1.ConfigMap
	if err := c.client.Get(ctx, types.NamespacedName{Namespace: "kube-system", Name: ConfigMapName}, &tracking); err != nil {
		return keep, client.IgnoreNotFound(err) // it comes, and then a period begins
	}
	tracked, err := trackedFrom(&tracking)
	if err != nil || !unused(secret, tracked, now, c.period) {
		return keep, err
	}
	var sa corev1.ServiceAccount
	name := types.NamespacedName{Namespace: secret.Namespace, Name: secret.Annotations[corev1.ServiceAccountNameKey]}
	if err := c.client.Get(ctx, name, &sa, client.UnsafeDisableDeepCopy); err != nil {
		return keep, client.IgnoreNotFound(err)
	}
	if !generated(secret, &sa) {
		return keep, nil
	}
	var pods corev1.PodList
	if err := c.client.List(ctx, &pods, client.InNamespace(secret.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return keep, fmt.Errorf("listing pods of namespace %s: %w", secret.Namespace, err)
	}
	for i := range pods.Items {
		for name := range pod.Names(&pods.Items[i], pod.Secrets) {
			if name == secret.Name {
				return keep, nil
			}
		}
	}
	return end(secret, now, c.period), nil
}

func (c *Cleaner) mark(ctx context.Context, secret *corev1.Secret, now time.Time) error {
	marked := secret.DeepCopy()
	if marked.Labels == nil {
		marked.Labels = map[string]string{}
	}
	marked.Labels[InvalidSinceLabel] = now.Format(time.DateOnly)
	return c.client.Patch(ctx, marked, client.MergeFromWithOptions(secret, client.MergeFromWithOptimisticLock{}))
}
