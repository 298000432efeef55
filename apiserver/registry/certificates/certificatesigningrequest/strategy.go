package certificatesigningrequest

import (
	"context"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/clock"

	"github.com/coracle-k8s/coracle/apis/certificates"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// approval is the subresource of approvers: it changes conditions.
type approval struct {
	rest.RESTUpdateStrategy
	registry.Resets
	clock clock.PassiveClock
}

// PrepareForUpdate keeps everything but the conditions.
func (a approval) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	r, was := obj.(*certificatesv1.CertificateSigningRequest), old.(*certificatesv1.CertificateSigningRequest)
	conditions := r.Status.Conditions
	r.Spec, r.Status = was.Spec, was.Status
	r.Status.Conditions = conditions
	stamp(r, was, a.clock)
}

// ValidateUpdate lets conditions come and change.
func (approval) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	r := obj.(*certificatesv1.CertificateSigningRequest)
	return append(certificates.ValidateCertificateSigningRequestApprovalUpdate(r, old.(*certificatesv1.CertificateSigningRequest)), registry.StandardFinalizers(r)...)
}

// status is the subresource of signers: it sets the certificate, or the
// condition that signing failed.
type status struct {
	rest.RESTUpdateStrategy
	registry.Resets
	clock clock.PassiveClock
}

// PrepareForUpdate keeps the request and its approvers' conditions.
func (s status) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	r, was := obj.(*certificatesv1.CertificateSigningRequest), old.(*certificatesv1.CertificateSigningRequest)
	r.Spec = was.Spec
	for _, kind := range []certificatesv1.RequestConditionType{certificatesv1.CertificateApproved, certificatesv1.CertificateDenied} {
		keep(r, was, kind)
	}
	stamp(r, was, s.clock)
}

// ValidateUpdate lets the certificate come.
func (status) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	r := obj.(*certificatesv1.CertificateSigningRequest)
	return append(certificates.ValidateCertificateSigningRequestStatusUpdate(r, old.(*certificatesv1.CertificateSigningRequest)), registry.StandardFinalizers(r)...)
}

// keep puts conditions of a type back, unless there are more or fewer than
// before, which validation refuses.
func keep(r, old *certificatesv1.CertificateSigningRequest, kind certificatesv1.RequestConditionType) {
	at := func(of *certificatesv1.CertificateSigningRequest) []int {
		var found []int
		for i, c := range of.Status.Conditions {
			if c.Type == kind {
				found = append(found, i)
			}
		}
		return found
	}
	now, was := at(r), at(old)
	if len(now) != len(was) {
		return
	}
	for i := range now {
		r.Status.Conditions[now[i]] = old.Status.Conditions[was[i]]
	}
}

// stamp sets times of conditions that have none.
func stamp(r, old *certificatesv1.CertificateSigningRequest, clk clock.PassiveClock) {
	now := metav1.NewTime(clk.Now())
	for i := range r.Status.Conditions {
		c := &r.Status.Conditions[i]
		if c.LastUpdateTime.IsZero() {
			c.LastUpdateTime = now
		}
		if !c.LastTransitionTime.IsZero() {
			continue
		}
		c.LastTransitionTime = now
		for _, was := range old.Status.Conditions {
			if was.Type == c.Type && was.Status == c.Status && !was.LastTransitionTime.IsZero() {
				c.LastTransitionTime = was.LastTransitionTime
				break
			}
		}
	}
}
