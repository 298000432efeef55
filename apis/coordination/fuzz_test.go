package coordination_test

import (
	"testing"

	"github.com/coracle-k8s/coracle/apis/coordination"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f,
		mangle.Of(coordination.ValidateLease, coordination.ValidateLeaseUpdate),
	)
}
