package policy_test

import (
	"testing"

	"github.com/coracle-k8s/coracle/apis/policy"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f,
		mangle.Of(policy.ValidatePodDisruptionBudget, policy.ValidatePodDisruptionBudgetUpdate, policy.ValidatePodDisruptionBudgetStatusUpdate),
	)
}
