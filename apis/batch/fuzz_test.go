package batch_test

import (
	"testing"

	"github.com/coracle-k8s/coracle/apis/batch"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f,
		mangle.Of(batch.ValidateJob, batch.ValidateJobUpdate, batch.ValidateJobStatusUpdate),
		mangle.Of(batch.ValidateCronJob, batch.ValidateCronJobUpdate, batch.ValidateCronJobStatusUpdate),
	)
}
