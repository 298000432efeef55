package networking_test

import (
	"testing"

	"github.com/coracle-k8s/coracle/apis/networking"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f,
		mangle.Of(networking.ValidateIngress, networking.ValidateIngressUpdate, networking.ValidateIngressStatusUpdate),
		mangle.Of(networking.ValidateIngressClass, networking.ValidateIngressClassUpdate),
		mangle.Of(networking.ValidateNetworkPolicy, networking.ValidateNetworkPolicyUpdate),
		mangle.Of(networking.ValidateIPAddress, networking.ValidateIPAddressUpdate),
		mangle.Of(networking.ValidateServiceCIDR, networking.ValidateServiceCIDRUpdate, networking.ValidateServiceCIDRStatusUpdate),
	)
}
