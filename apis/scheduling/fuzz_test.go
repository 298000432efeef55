package scheduling_test

import (
	"testing"

	"github.com/coracle-k8s/coracle/apis/scheduling"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f,
		mangle.Of(scheduling.ValidatePriorityClass, scheduling.ValidatePriorityClassUpdate),
	)
}
