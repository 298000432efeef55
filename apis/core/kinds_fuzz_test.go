package core_test

import (
	"testing"

	"github.com/coracle-k8s/coracle/apis/core"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f,
		mangle.Of(core.ValidatePodCreate, core.ValidatePodUpdate, core.ValidatePodStatusUpdate, core.ValidatePodEphemeralContainersUpdate, core.ValidatePodResize),
		mangle.Of(core.ValidatePodBinding),
		mangle.Of(core.ValidateService, core.ValidateServiceUpdate, core.ValidateServiceStatusUpdate),
		mangle.Of(core.ValidateNamespace, core.ValidateNamespaceUpdate, core.ValidateNamespaceStatusUpdate, core.ValidateNamespaceFinalizeUpdate),
		mangle.Of(core.ValidateConfigMap, core.ValidateConfigMapUpdate),
		mangle.Of(core.ValidateSecret, core.ValidateSecretUpdate),
		mangle.Of(core.ValidateServiceAccount, core.ValidateServiceAccountUpdate),
		mangle.Of(core.ValidateEndpoints, core.ValidateEndpointsUpdate),
		mangle.Of(core.ValidateResourceQuota, core.ValidateResourceQuotaUpdate, core.ValidateResourceQuotaStatusUpdate),
		mangle.Of(core.ValidateLimitRange, core.ValidateLimitRangeUpdate),
		mangle.Of(core.ValidatePodTemplate, core.ValidatePodTemplateUpdate),
		mangle.Of(core.ValidateReplicationController, core.ValidateReplicationControllerUpdate, core.ValidateReplicationControllerStatusUpdate),
		mangle.Of(core.ValidatePersistentVolume, core.ValidatePersistentVolumeUpdate, core.ValidatePersistentVolumeStatusUpdate),
		mangle.Of(core.ValidatePersistentVolumeClaim, core.ValidatePersistentVolumeClaimUpdate, core.ValidatePersistentVolumeClaimStatusUpdate),
		mangle.Of(core.ValidateNode, core.ValidateNodeUpdate, core.ValidateNodeStatusUpdate),
	)
}
