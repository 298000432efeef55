// Package denyserviceexternalips refuses further external addresses of Services. It is
// DenyServiceExternalIPs of
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#denyserviceexternalips.
//
// The API of this package is not stable: see docs/api.md.
package denyserviceexternalips

import (
	"context"
	"errors"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"
)

// Plugin is DenyServiceExternalIPs.
type Plugin struct{ *admission.Handler }

var _ admission.ValidationInterface = Plugin{}

// New makes the plugin.
func New() Plugin { return Plugin{admission.NewHandler(admission.Create, admission.Update)} }

// Validate implements admission.ValidationInterface. Addresses may stay and go.
func (Plugin) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	service, ok := a.GetObject().(*corev1.Service)
	if !ok || a.GetSubresource() != "" || a.GetResource().GroupResource() != corev1.Resource("services") {
		return nil
	}
	var had []string
	if old, ok := a.GetOldObject().(*corev1.Service); ok {
		had = old.Spec.ExternalIPs
	}
	for _, ip := range service.Spec.ExternalIPs {
		if !slices.Contains(had, ip) {
			return admission.NewForbidden(a, errors.New("Use of external IPs is denied by admission control"))
		}
	}
	return nil
}
