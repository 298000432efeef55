// Package storageobjectinuse puts finalizers on volumes, claims and volume
// attributes classes, which controllers take off when nothing uses them any more:
// https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection.
//
// The API of this package is not stable: see docs/api.md.
package storageobjectinuse

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
)

// The finalizers.
const (
	VolumeFinalizer          = "kubernetes.io/pv-protection"
	ClaimFinalizer           = "kubernetes.io/pvc-protection"
	AttributesClassFinalizer = "kubernetes.io/vac-protection"
)

// Plugin is StorageObjectInUseProtection.
type Plugin struct{ *admission.Handler }

var _ admission.MutationInterface = Plugin{}

// New makes the plugin.
func New() Plugin { return Plugin{admission.NewHandler(admission.Create)} }

// Admit adds the finalizer.
func (Plugin) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	obj, ok := a.GetObject().(metav1.Object)
	if !ok || a.GetSubresource() != "" {
		return nil
	}
	finalizer := ""
	switch a.GetResource().GroupResource() {
	case corev1.Resource("persistentvolumes"):
		finalizer = VolumeFinalizer
	case corev1.Resource("persistentvolumeclaims"):
		finalizer = ClaimFinalizer
	case schema.GroupResource{Group: storagev1.GroupName, Resource: "volumeattributesclasses"}:
		finalizer = AttributesClassFinalizer
	default:
		return nil
	}
	if !slices.Contains(obj.GetFinalizers(), finalizer) {
		obj.SetFinalizers(append(obj.GetFinalizers(), finalizer))
	}
	return nil
}
