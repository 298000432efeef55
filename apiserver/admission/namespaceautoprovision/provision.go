// Package namespaceautoprovision creates the namespaces in which objects are
// created. It is NamespaceAutoProvision of
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#namespaceautoprovision.
//
// The API of this package is not stable: see docs/api.md.
package namespaceautoprovision

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"
)

// Namespaces looks namespaces up, in memory, else in storage, and creates them.
type Namespaces interface {
	GetNamespace(ctx context.Context, name string) (*corev1.Namespace, error)
	CreateNamespace(ctx context.Context, name string) error
}

// Plugin is NamespaceAutoProvision.
type Plugin struct {
	*admission.Handler
	namespaces Namespaces
}

var _ admission.MutationInterface = Plugin{}

// New makes the plugin.
func New(namespaces Namespaces) Plugin {
	return Plugin{admission.NewHandler(admission.Create), namespaces}
}

// Admit implements admission.MutationInterface. A dry run creates no namespace
// either.
func (p Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.IsDryRun() || a.GetNamespace() == "" || a.GetKind().GroupKind() == corev1.SchemeGroupVersion.WithKind("Namespace").GroupKind() {
		return nil
	}
	_, err := p.namespaces.GetNamespace(ctx, a.GetNamespace())
	if apierrors.IsNotFound(err) {
		if err = p.namespaces.CreateNamespace(ctx, a.GetNamespace()); apierrors.IsAlreadyExists(err) {
			return nil
		}
	}
	if err != nil {
		return admission.NewForbidden(a, err)
	}
	return nil
}
