package discovery_test

import (
	"testing"

	"github.com/coracle-k8s/coracle/apis/discovery"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f,
		mangle.Of(discovery.ValidateEndpointSlice, discovery.ValidateEndpointSliceUpdate),
	)
}
