package core_test

import (
	"testing"

	"github.com/coracle-k8s/coracle/apis/core/validation"
	"github.com/coracle-k8s/coracle/apis/core/validation/pods"
	"github.com/coracle-k8s/coracle/apis/core/validation/volume"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f,
		mangle.Of(pods.ValidatePodCreate, pods.ValidatePodUpdate, pods.ValidatePodStatusUpdate, pods.ValidatePodEphemeralContainersUpdate, pods.ValidatePodResize),
		mangle.Of(pods.ValidatePodBinding),
		mangle.Of(validation.ValidateService, validation.ValidateServiceUpdate, validation.ValidateServiceStatusUpdate),
		mangle.Of(validation.ValidateNamespace, validation.ValidateNamespaceUpdate, validation.ValidateNamespaceStatusUpdate, validation.ValidateNamespaceFinalizeUpdate),
		mangle.Of(validation.ValidateConfigMap, validation.ValidateConfigMapUpdate),
		mangle.Of(validation.ValidateSecret, validation.ValidateSecretUpdate),
		mangle.Of(validation.ValidateServiceAccount, validation.ValidateServiceAccountUpdate),
		mangle.Of(validation.ValidateEndpoints, validation.ValidateEndpointsUpdate),
		mangle.Of(validation.ValidateResourceQuota, validation.ValidateResourceQuotaUpdate, validation.ValidateResourceQuotaStatusUpdate),
		mangle.Of(validation.ValidateLimitRange, validation.ValidateLimitRangeUpdate),
		mangle.Of(validation.ValidatePodTemplate, validation.ValidatePodTemplateUpdate),
		mangle.Of(validation.ValidateReplicationController, validation.ValidateReplicationControllerUpdate, validation.ValidateReplicationControllerStatusUpdate),
		mangle.Of(volume.ValidatePersistentVolume, volume.ValidatePersistentVolumeUpdate, volume.ValidatePersistentVolumeStatusUpdate),
		mangle.Of(volume.ValidatePersistentVolumeClaim, volume.ValidatePersistentVolumeClaimUpdate, volume.ValidatePersistentVolumeClaimStatusUpdate),
		mangle.Of(validation.ValidateNode, validation.ValidateNodeUpdate, validation.ValidateNodeStatusUpdate),
	)
}
