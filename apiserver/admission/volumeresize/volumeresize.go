// Package volumeresize lets claims grow only if their class allows it:
// https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims.
//
// The API of this package is not stable: see docs/api.md.
package volumeresize

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/ptr"
)

// Classes looks storage classes up. They are not changed.
type Classes interface {
	StorageClass(ctx context.Context, name string) (class *storagev1.StorageClass, found bool, err error)
}

// Plugin is PersistentVolumeClaimResize.
type Plugin struct {
	*admission.Handler
	classes Classes
}

var _ admission.ValidationInterface = &Plugin{}

// New makes the plugin.
func New(classes Classes) *Plugin {
	return &Plugin{Handler: admission.NewHandler(admission.Update), classes: classes}
}

// The words are upstream's.
var (
	errUnbound = errors.New("Only bound persistent volume claims can be expanded")
	errClass   = errors.New("only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize")
)

// Validate refuses to let a claim grow that cannot.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	claim, ok := a.GetObject().(*corev1.PersistentVolumeClaim)
	old, was := a.GetOldObject().(*corev1.PersistentVolumeClaim)
	if !ok || !was || a.GetSubresource() != "" || a.GetResource().GroupResource() != corev1.Resource("persistentvolumeclaims") {
		return nil
	}
	now, before := claim.Spec.Resources.Requests[corev1.ResourceStorage], old.Spec.Resources.Requests[corev1.ResourceStorage]
	if now.Cmp(before) <= 0 {
		return nil
	}
	if old.Status.Phase != corev1.ClaimBound {
		return admission.NewForbidden(a, errUnbound)
	}
	name := className(claim)
	if name == "" || name != className(old) {
		return admission.NewForbidden(a, errClass)
	}
	class, found, err := p.classes.StorageClass(ctx, name)
	if err != nil || !found || !ptr.Deref(class.AllowVolumeExpansion, false) {
		return admission.NewForbidden(a, errClass)
	}
	return nil
}

func className(c *corev1.PersistentVolumeClaim) string {
	if name, ok := c.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		return name
	}
	return ptr.Deref(c.Spec.StorageClassName, "")
}
