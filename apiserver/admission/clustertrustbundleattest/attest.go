// Package clustertrustbundleattest lets a user write a ClusterTrustBundle of a
// signer only with the right to attest for it.
//
// The API of this package is not stable: see docs/api.md.
package clustertrustbundleattest

import (
	"context"
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/coracle-k8s/coracle/apiserver/auth/signers"
)

// Plugin is ClusterTrustBundleAttest.
type Plugin struct {
	*admission.Handler
	authorizer authorizer.UnconditionalAuthorizer
}

var _ admission.ValidationInterface = &Plugin{}

// New makes the plugin.
func New(a authorizer.UnconditionalAuthorizer) *Plugin {
	return &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update), authorizer: a}
}

// Validate implements admission.ValidationInterface. The signer of a bundle
// never changes, so the new object counts.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().GroupResource() != certificatesv1.Resource("clustertrustbundles") {
		return nil
	}
	bundle, ok := a.GetObject().(*certificatesv1.ClusterTrustBundle)
	if !ok {
		return admission.NewForbidden(a, fmt.Errorf("expected type ClusterTrustBundle, got: %T", a.GetObject()))
	}
	if bundle.Spec.SignerName == "" || a.GetOperation() == admission.Update && onlyCollected(a, bundle) {
		return nil
	}
	if !signers.Allowed(ctx, p.authorizer, a.GetUserInfo(), "attest", bundle.Spec.SignerName) {
		return admission.NewForbidden(a, fmt.Errorf("user not permitted to attest for signerName %q", bundle.Spec.SignerName))
	}
	return nil
}

// onlyCollected reports whether an update changes nothing but owners and
// finalizers, as the garbage collector's updates do.
func onlyCollected(a admission.Attributes, bundle *certificatesv1.ClusterTrustBundle) bool {
	old, ok := a.GetOldObject().(*certificatesv1.ClusterTrustBundle)
	if !ok {
		return false
	}
	same := bundle.DeepCopy()
	same.OwnerReferences, same.Finalizers, same.ManagedFields = old.OwnerReferences, old.Finalizers, old.ManagedFields
	return equality.Semantic.DeepEqual(same, old)
}
