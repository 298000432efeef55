// Package namespaceexists refuses whatever is done in namespaces that do not
// exist. It is NamespaceExists of
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#namespaceexists;
// NamespaceLifecycle does the same for creations.
//
// The API of this package is not stable: see docs/api.md.
package namespaceexists

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"
)

// Namespaces looks namespaces up: in memory, else in storage.
type Namespaces interface {
	GetNamespace(ctx context.Context, name string) (*corev1.Namespace, error)
}

// Plugin is NamespaceExists.
type Plugin struct {
	*admission.Handler
	namespaces Namespaces
}

var _ admission.ValidationInterface = Plugin{}

// New makes the plugin.
func New(namespaces Namespaces) Plugin {
	return Plugin{admission.NewHandler(admission.Create, admission.Update, admission.Delete), namespaces}
}

// Validate implements admission.ValidationInterface.
func (p Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetNamespace() == "" || a.GetKind().GroupKind() == corev1.SchemeGroupVersion.WithKind("Namespace").GroupKind() {
		return nil
	}
	_, err := p.namespaces.GetNamespace(ctx, a.GetNamespace())
	if err != nil && !apierrors.IsNotFound(err) {
		return apierrors.NewInternalError(err)
	}
	return err
}
