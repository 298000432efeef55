package storagemigration

import (
	"strings"
	"testing"

	storagemigrationv1 "k8s.io/api/storagemigration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestStatus(t *testing.T) {
	with := func(version string, kinds ...storagemigrationv1.MigrationConditionType) *storagemigrationv1.StorageVersionMigration {
		m := &storagemigrationv1.StorageVersionMigration{ObjectMeta: metav1.ObjectMeta{Name: "m", ResourceVersion: "1"}}
		m.Status.ResourceVersion = version
		for _, k := range kinds {
			m.Status.Conditions = append(m.Status.Conditions, metav1.Condition{Type: string(k), Status: "True", Reason: "R", Message: "m", LastTransitionTime: metav1.Now()})
		}
		return m
	}
	const ok, failed = storagemigrationv1.MigrationSucceeded, storagemigrationv1.MigrationFailed
	for name, c := range map[string]struct {
		now, old *storagemigrationv1.StorageVersionMigration
		want     string
	}{
		"begins":       {with("5"), with(""), ""},
		"ends":         {with("5", ok), with("5"), ""},
		"no number":    {with("x"), with(""), "status.resourceVersion: Invalid value"},
		"other number": {with("6"), with("5"), "status.resourceVersion: Invalid value: \"6\": field is immutable"},
		"both":         {with("5", ok, failed), with("5"), "status.conditions: Invalid value"},
		"un-ended":     {with("5"), with("5", failed), "status.conditions: Invalid value"},
	} {
		errs := ValidateStorageVersionMigrationStatusUpdate(c.now, c.old)
		if c.want == "" && len(errs) > 0 || c.want != "" && (len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, errs, c.want)
		}
	}
	spec := &storagemigrationv1.StorageVersionMigration{ObjectMeta: metav1.ObjectMeta{Name: "m"}}
	if errs := ValidateStorageVersionMigration(spec); len(errs) != 1 || errs[0].Field != "spec.resource.resource" {
		t.Errorf("got %v", errs)
	}
}
