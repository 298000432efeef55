// Package certificatesigningrequest serves certificates.k8s.io/v1
// CertificateSigningRequests.
//
// The API of this package is not stable: see docs/api.md.
package certificatesigningrequest

import (
	"context"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/coracle-k8s/coracle/apis/certificates"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	gvk := certificatesv1.SchemeGroupVersion.WithKind("CertificateSigningRequest")
	verbs := []string{"get", "patch", "update"}
	return registry.Kind[*certificatesv1.CertificateSigningRequest]{
		GVK:              gvk,
		Plural:           "certificatesigningrequests",
		ShortNames:       []string{"csr"},
		ClusterScoped:    true,
		NoGeneration:     true,
		New:              func() *certificatesv1.CertificateSigningRequest { return &certificatesv1.CertificateSigningRequest{} },
		NewList:          func() runtime.Object { return &certificatesv1.CertificateSigningRequestList{} },
		PrepareForCreate: sign,
		PrepareForUpdate: func(_ context.Context, r, old *certificatesv1.CertificateSigningRequest) {
			r.Spec, r.Status = old.Spec, old.Status
		},
		Validate:       registry.Pure(certificates.ValidateCertificateSigningRequest),
		ValidateUpdate: registry.PureUpdate(certificates.ValidateCertificateSigningRequestUpdate),
		Fields: func(r *certificatesv1.CertificateSigningRequest) fields.Set {
			return fields.Set{"spec.signerName": r.Spec.SignerName}
		},
		Table:        table(),
		Subresources: []registry.Subresource{{Name: "approval", GVK: gvk, Verbs: verbs}, {Name: "status", GVK: gvk, Verbs: verbs}},
		Extend: func(env registry.Env, store *genericregistry.Store, storages map[string]rest.Storage) error {
			gv, spec := gvk.GroupVersion(), []any{"spec"}
			store.ResetFieldsStrategy = registry.NewResets(gv, spec, []any{"status"})
			storages["approval"] = registry.NewSubStorage(store, approval{store.UpdateStrategy, registry.NewResets(gv, spec, []any{"status", "certificate"}), env.Clock})
			storages["status"] = registry.NewSubStorage(store, status{store.UpdateStrategy, registry.NewResets(gv, spec, []any{"status", "conditions"}), env.Clock})
			return nil
		},
	}.Resource()
}

// sign writes the requesting user into the request, in place of any user that the client
// wrote there, and drops the status, so that a client cannot approve its own request.
func sign(ctx context.Context, r *certificatesv1.CertificateSigningRequest) {
	r.Status = certificatesv1.CertificateSigningRequestStatus{}
	r.Spec.Username, r.Spec.UID, r.Spec.Groups, r.Spec.Extra = "", "", nil, nil
	user, ok := request.UserFrom(ctx)
	if !ok {
		return
	}
	r.Spec.Username, r.Spec.UID, r.Spec.Groups = user.GetName(), user.GetUID(), user.GetGroups()
	for key, values := range user.GetExtra() {
		if r.Spec.Extra == nil {
			r.Spec.Extra = map[string]certificatesv1.ExtraValue{}
		}
		r.Spec.Extra[key] = values
	}
}

func table() *registry.Table[*certificatesv1.CertificateSigningRequest] {
	return &registry.Table[*certificatesv1.CertificateSigningRequest]{
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn(), registry.Column("Age"), registry.Column("SignerName"), registry.Column("Requestor"),
			registry.Column("RequestedDuration"), registry.Column("Condition"),
		},
		Cells: func(r *certificatesv1.CertificateSigningRequest, now time.Time) []any {
			signer, lasts := registry.None, registry.None
			if r.Spec.SignerName != "" {
				signer = r.Spec.SignerName
			}
			if s := r.Spec.ExpirationSeconds; s != nil {
				lasts = duration.HumanDuration(time.Duration(*s) * time.Second)
			}
			return []any{r.Name, registry.Age(r.CreationTimestamp, now), signer, r.Spec.Username, lasts, state(r)}
		},
	}
}

func state(r *certificatesv1.CertificateSigningRequest) string {
	text := "Pending"
	switch {
	case certificates.HasCondition(r, certificatesv1.CertificateDenied):
		text = "Denied"
	case certificates.HasCondition(r, certificatesv1.CertificateApproved):
		text = "Approved"
	}
	if certificates.HasCondition(r, certificatesv1.CertificateFailed) {
		text += ",Failed"
	}
	if len(r.Status.Certificate) > 0 {
		text += ",Issued"
	}
	return text
}
