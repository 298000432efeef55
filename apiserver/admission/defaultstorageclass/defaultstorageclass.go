// Package defaultstorageclass gives claims that name no StorageClass the
// default one:
// https://kubernetes.io/docs/concepts/storage/storage-classes/#default-storageclass.
//
// The API of this package is not stable: see docs/api.md.
package defaultstorageclass

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apiserver/pkg/admission"

	"github.com/coracle-k8s/coracle/apis/storage"
)

// Classes lists storage classes. They are not changed.
type Classes interface {
	StorageClasses(ctx context.Context) ([]*storagev1.StorageClass, error)
}

// Plugin is DefaultStorageClass.
type Plugin struct {
	*admission.Handler
	classes Classes
}

var _ admission.MutationInterface = &Plugin{}

// New makes the plugin.
func New(classes Classes) *Plugin {
	return &Plugin{Handler: admission.NewHandler(admission.Create), classes: classes}
}

// Admit sets the class of a claim that has none; "" is a class: none at all.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	claim, ok := a.GetObject().(*corev1.PersistentVolumeClaim)
	if !ok || a.GetSubresource() != "" || a.GetResource().GroupResource() != corev1.Resource("persistentvolumeclaims") {
		return nil
	}
	if _, ok := claim.Annotations[corev1.BetaStorageClassAnnotation]; ok || claim.Spec.StorageClassName != nil {
		return nil
	}
	classes, err := p.classes.StorageClasses(ctx)
	if err != nil {
		return admission.NewForbidden(a, err)
	}
	var chosen *storagev1.StorageClass
	for _, c := range classes {
		if storage.IsDefault(&c.ObjectMeta) && (chosen == nil || storage.Newer(&c.ObjectMeta, &chosen.ObjectMeta)) {
			chosen = c
		}
	}
	if chosen != nil {
		name := chosen.Name
		claim.Spec.StorageClassName = &name
	}
	return nil
}
