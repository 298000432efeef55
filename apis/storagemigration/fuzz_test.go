package storagemigration_test

import (
	"testing"

	"github.com/coracle-k8s/coracle/apis/storagemigration"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	mangle.Kinds(f,
		mangle.Of(storagemigration.ValidateStorageVersionMigration, storagemigration.ValidateStorageVersionMigrationUpdate, storagemigration.ValidateStorageVersionMigrationStatusUpdate),
	)
}
