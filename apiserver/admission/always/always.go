// Package always has the plugins that admit all and nothing: AlwaysAdmit and
// AlwaysDeny of
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/.
// They are deprecated, but may be named.
//
// The API of this package is not stable: see docs/api.md.
package always

import (
	"context"
	"errors"

	"k8s.io/apiserver/pkg/admission"
)

// Admit is AlwaysAdmit.
type Admit struct{}

// Deny is AlwaysDeny.
type Deny struct{}

var (
	_ admission.ValidationInterface = Admit{}
	_ admission.ValidationInterface = Deny{}
)

// Handles implements admission.Interface.
func (Admit) Handles(admission.Operation) bool { return true }

// Validate implements admission.ValidationInterface.
func (Admit) Validate(context.Context, admission.Attributes, admission.ObjectInterfaces) error {
	return nil
}

// Handles implements admission.Interface.
func (Deny) Handles(admission.Operation) bool { return true }

// Validate implements admission.ValidationInterface.
func (Deny) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	return admission.NewForbidden(a, errors.New("admission control is denying all modifications"))
}
