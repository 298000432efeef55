package resource_test

import (
	"testing"

	"github.com/coracle-k8s/coracle/apis/resource"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f,
		mangle.Of(resource.ValidateResourceSlice, resource.ValidateResourceSliceUpdate),
		mangle.Of(resource.ValidateResourceClaim, resource.ValidateResourceClaimUpdate, resource.ValidateResourceClaimStatusUpdate),
		mangle.Of(resource.ValidateResourceClaimTemplate, resource.ValidateResourceClaimTemplateUpdate),
		mangle.Of(resource.ValidateDeviceClass, resource.ValidateDeviceClassUpdate),
		mangle.Of(resource.ValidateDeviceTaintRule, resource.ValidateDeviceTaintRuleUpdate, resource.ValidateDeviceTaintRuleStatusUpdate),
	)
}
