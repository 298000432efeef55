package storage_test

import (
	"testing"

	"github.com/coracle-k8s/coracle/apis/storage"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f,
		mangle.Of(storage.ValidateStorageClass, storage.ValidateStorageClassUpdate),
		mangle.Of(storage.ValidateVolumeAttributesClass, storage.ValidateVolumeAttributesClassUpdate),
		mangle.Of(storage.ValidateVolumeAttachment, storage.ValidateVolumeAttachmentUpdate),
		mangle.Of(storage.ValidateCSINode, storage.ValidateCSINodeUpdate, storage.ValidateCSINodeStatusUpdate),
		mangle.Of(storage.ValidateCSIDriver, storage.ValidateCSIDriverUpdate),
		mangle.Of(storage.ValidateCSIStorageCapacity, storage.ValidateCSIStorageCapacityUpdate),
	)
}
