// Package podcertificaterequest serves the PodCertificateRequests of
// certificates.k8s.io, which are stored as v1beta1, as upstream: v1 has no fields for
// its deprecated pkixPublicKey and proofOfPossession.
//
// The API of this package is not stable: see docs/api.md.
package podcertificaterequest

import (
	"context"
	"errors"
	"fmt"
	"time"

	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/coracle-k8s/coracle/apis/certificates"
	"github.com/coracle-k8s/coracle/apiserver/auth/signers"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	gvk := certificatesv1beta1.SchemeGroupVersion.WithKind("PodCertificateRequest")
	return registry.Kind[*certificatesv1beta1.PodCertificateRequest]{
		GVK:                    gvk,
		OtherVersions:          []string{"v1"},
		Gate:                   "PodCertificateRequest",
		Plural:                 "podcertificaterequests",
		NoGeneration:           true,
		RequireResourceVersion: true,
		New:                    func() *certificatesv1beta1.PodCertificateRequest { return &certificatesv1beta1.PodCertificateRequest{} },
		NewList:                func() runtime.Object { return &certificatesv1beta1.PodCertificateRequestList{} },
		PrepareForCreate: func(_ context.Context, r *certificatesv1beta1.PodCertificateRequest) {
			r.Status = certificatesv1beta1.PodCertificateRequestStatus{}
		},
		PrepareForUpdate: func(_ context.Context, r, old *certificatesv1beta1.PodCertificateRequest) { r.Status = old.Status },
		Validate:         registry.Pure(certificates.ValidatePodCertificateRequest),
		ValidateUpdate:   registry.PureUpdate(certificates.ValidatePodCertificateRequestUpdate),
		Fields: func(r *certificatesv1beta1.PodCertificateRequest) fields.Set {
			return fields.Set{"spec.signerName": r.Spec.SignerName, "spec.podName": r.Spec.PodName, "spec.nodeName": string(r.Spec.NodeName)}
		},
		IndexedFields: []string{"spec.nodeName"},
		Table:         table(),
		Subresources:  []registry.Subresource{{Name: "status", GVK: gvk, Verbs: []string{"get", "patch", "update"}}},
		Extend: func(env registry.Env, store *genericregistry.Store, storages map[string]rest.Storage) error {
			gv := gvk.GroupVersion()
			store.ResetFieldsStrategy = registry.NewResets(gv, []any{"status"}).Also("v1")
			storages["status"] = registry.NewSubStorage(store, status{store.UpdateStrategy, registry.NewResets(gv, []any{"metadata"}, []any{"spec"}).Also("v1"), env})
			return nil
		},
	}.Resource()
}

func table() *registry.Table[*certificatesv1beta1.PodCertificateRequest] {
	return &registry.Table[*certificatesv1beta1.PodCertificateRequest]{
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn(), registry.Column("PodName"), registry.Column("ServiceAccountName"), registry.Column("NodeName"),
			registry.Column("SignerName"), registry.Column("State"), registry.Column("UnverifiedUserAnnotations"),
		},
		Cells: func(r *certificatesv1beta1.PodCertificateRequest, _ time.Time) []any {
			state := "Pending"
			for _, c := range r.Status.Conditions {
				switch c.Type {
				case certificatesv1beta1.PodCertificateRequestConditionTypeIssued, certificatesv1beta1.PodCertificateRequestConditionTypeDenied,
					certificatesv1beta1.PodCertificateRequestConditionTypeFailed:
					state = c.Type
				}
			}
			return []any{r.Name, r.Spec.PodName, r.Spec.ServiceAccountName, string(r.Spec.NodeName), r.Spec.SignerName, state,
				labels.FormatLabels(r.Spec.UnverifiedUserAnnotations)}
		},
	}
}

// status is the subresource of signers.
type status struct {
	rest.RESTUpdateStrategy
	registry.Resets
	env registry.Env
}

// PrepareForUpdate keeps everything but the status.
func (status) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	r, was := obj.(*certificatesv1beta1.PodCertificateRequest), old.(*certificatesv1beta1.PodCertificateRequest)
	r.Spec = was.Spec
	metav1.ResetObjectMetaForStatus(&r.ObjectMeta, &was.ObjectMeta)
}

// ValidateUpdate also asks whether the user may sign for the signer.
func (s status) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	r, was := obj.(*certificatesv1beta1.PodCertificateRequest), old.(*certificatesv1beta1.PodCertificateRequest)
	if errs := certificates.ValidatePodCertificateRequestStatusUpdate(r, was, s.env.Clock.Now()); len(errs) > 0 {
		return errs
	}
	if s.env.Authorizer == nil || equality.Semantic.DeepEqual(was.Status, r.Status) {
		return nil
	}
	path := field.NewPath("spec", "signerName")
	user, ok := request.UserFrom(ctx)
	if !ok {
		return field.ErrorList{field.InternalError(path, errors.New(`cannot determine calling user to perform "sign" check`))}
	}
	if !signers.Allowed(ctx, s.env.Authorizer, user, "sign", was.Spec.SignerName) {
		return field.ErrorList{field.Forbidden(path, fmt.Sprintf(`User %q is not permitted to "sign" for signer %q`, user.GetName(), was.Spec.SignerName))}
	}
	return nil
}
