package storage

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/core"
)

func addDefaults(s *runtime.Scheme) {
	s.AddTypeDefaultingFunc(&storagev1.StorageClass{}, func(obj any) { SetDefaultsStorageClass(obj.(*storagev1.StorageClass)) })
	s.AddTypeDefaultingFunc(&storagev1.StorageClassList{}, func(obj any) { each(obj.(*storagev1.StorageClassList).Items, SetDefaultsStorageClass) })
	s.AddTypeDefaultingFunc(&storagev1.CSIDriver{}, func(obj any) { SetDefaultsCSIDriver(obj.(*storagev1.CSIDriver)) })
	s.AddTypeDefaultingFunc(&storagev1.CSIDriverList{}, func(obj any) { each(obj.(*storagev1.CSIDriverList).Items, SetDefaultsCSIDriver) })
	s.AddTypeDefaultingFunc(&storagev1.VolumeAttachment{}, func(obj any) { SetDefaultsVolumeAttachment(obj.(*storagev1.VolumeAttachment)) })
	s.AddTypeDefaultingFunc(&storagev1.VolumeAttachmentList{}, func(obj any) {
		each(obj.(*storagev1.VolumeAttachmentList).Items, SetDefaultsVolumeAttachment)
	})
}

func each[T any](items []T, f func(*T)) {
	for i := range items {
		f(&items[i])
	}
}

func orElse[T any](p **T, value T) {
	if *p == nil {
		*p = &value
	}
}

// SetDefaultsStorageClass deletes volumes with their claims and binds them at once.
func SetDefaultsStorageClass(c *storagev1.StorageClass) {
	orElse(&c.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete)
	orElse(&c.VolumeBindingMode, storagev1.VolumeBindingImmediate)
}

// SetDefaultsCSIDriver fills what storage.k8s.io/v1 documents as defaults.
func SetDefaultsCSIDriver(d *storagev1.CSIDriver) {
	orElse(&d.Spec.AttachRequired, true)
	orElse(&d.Spec.PodInfoOnMount, false)
	orElse(&d.Spec.StorageCapacity, false)
	orElse(&d.Spec.FSGroupPolicy, storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy)
	if len(d.Spec.VolumeLifecycleModes) == 0 {
		d.Spec.VolumeLifecycleModes = []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecyclePersistent}
	}
	orElse(&d.Spec.RequiresRepublish, false)
	orElse(&d.Spec.SELinuxMount, false)
	orElse(&d.Spec.PreventPodSchedulingIfMissing, false)
}

// SetDefaultsVolumeAttachment defaults the volume that an attachment carries itself.
func SetDefaultsVolumeAttachment(a *storagev1.VolumeAttachment) {
	if inline := a.Spec.Source.InlineVolumeSpec; inline != nil {
		core.RoundResources(inline.Capacity)
		core.SetPersistentVolumeSourceDefaults(&inline.PersistentVolumeSource)
	}
}
