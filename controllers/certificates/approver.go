package certificates

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
)

// Names of the controllers and of their queues in metrics, as upstream's: approving and
// signing count together there.
const (
	ApproverName = "certificatesigningrequest-approving-controller"
	SignerName   = "certificatesigningrequest-signing-controller"
	CleanerName  = "certificatesigningrequest-cleaner-controller"

	ApproverQueueName = "certificate"
	SignerQueueName   = "certificate"
)

// Approver approves requests of agents for client certificates.
type Approver struct {
	client client.Client
	clock  clock.PassiveClock
}

// NewApprover returns an Approver.
func NewApprover(d controllers.Deps) *Approver {
	return &Approver{client: d.Client, clock: d.Clock}
}

// Reconcile implements reconcile.Reconciler.
func (a *Approver) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var r certificatesv1.CertificateSigningRequest
	if err := a.client.Get(ctx, req.NamespacedName, &r); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	some, err := permissions(&r)
	if err != nil {
		return reconcile.Result{}, reconcile.TerminalError(err)
	}
	for _, p := range some {
		allowed, err := a.allowed(ctx, &r, p.subresource)
		if err != nil {
			return reconcile.Result{}, fmt.Errorf("asking whether %s may have its certificate: %w", r.Spec.Username, err)
		}
		if !allowed {
			continue
		}
		r.Status.Conditions = append(r.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
			Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "AutoApproved", Message: p.message,
		})
		if err := a.client.SubResource("approval").Update(ctx, &r); client.IgnoreNotFound(err) != nil {
			return reconcile.Result{}, fmt.Errorf("error updating approval for csr: %w", err)
		}
		return reconcile.Result{}, nil
	}
	if len(some) == 0 {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{RequeueAfter: askAgain(a.clock.Since(r.CreationTimestamp.Time))}, nil
}

func (a *Approver) allowed(ctx context.Context, r *certificatesv1.CertificateSigningRequest, subresource string) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: r.Spec.Username, UID: r.Spec.UID, Groups: r.Spec.Groups,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: "certificates.k8s.io", Resource: "certificatesigningrequests", Verb: "create", Subresource: subresource, Version: "*",
		},
	}}
	for key, values := range r.Spec.Extra {
		if review.Spec.Extra == nil {
			review.Spec.Extra = map[string]authorizationv1.ExtraValue{}
		}
		review.Spec.Extra[key] = authorizationv1.ExtraValue(values)
	}
	err := a.client.Create(ctx, review)
	return review.Status.Allowed, err
}
