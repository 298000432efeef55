package storageversionmigration

import (
	"encoding/json"
	"fmt"
	"time"

	storagemigrationv1 "k8s.io/api/storagemigration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

const (
	reasonRunning   = "MigrationRunning"
	reasonSucceeded = "StorageVersionMigrationSucceeded"
	reasonFailed    = "StorageVersionMigrationFailed"
	// patience is how long after its creation a migration waits for its resource.
	patience = time.Minute
)

func ended(m *storagemigrationv1.StorageVersionMigration) bool {
	return meta.IsStatusConditionTrue(m.Status.Conditions, string(storagemigrationv1.MigrationSucceeded)) ||
		meta.IsStatusConditionTrue(m.Status.Conditions, string(storagemigrationv1.MigrationFailed))
}

// running sets the condition with a migration's progress; err is the reason why it stopped for now.
func running(m *storagemigrationv1.StorageVersionMigration, left, total int, now time.Time, err error) {
	message := "The migration is running"
	switch {
	case total > 0 && left > 0:
		message += fmt.Sprintf(", %d/%d objects not yet migrated", left, total)
	case total > 0:
		message += fmt.Sprintf(", %d objects verified migrated", total)
	}
	if err != nil {
		message += fmt.Sprintf("; transient error: %s", err)
	}
	set(m, storagemigrationv1.MigrationRunning, reasonRunning, message, now)
}

func succeeded(m *storagemigrationv1.StorageVersionMigration, now time.Time) {
	set(m, storagemigrationv1.MigrationSucceeded, reasonSucceeded, "Migration completed", now)
}

func failed(m *storagemigrationv1.StorageVersionMigration, now time.Time, err error) {
	set(m, storagemigrationv1.MigrationFailed, reasonFailed, fmt.Sprintf("migration encountered unhandled error: %s", err), now)
}

func set(m *storagemigrationv1.StorageVersionMigration, kind storagemigrationv1.MigrationConditionType, reason, message string, now time.Time) {
	meta.SetStatusCondition(&m.Status.Conditions, metav1.Condition{
		Type: string(kind), Status: metav1.ConditionTrue, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(now),
	})
}

// old reports whether an object was last written before the migration began.
func old(objectVersion, since string) (bool, error) {
	order, err := resourceversion.CompareResourceVersion(objectVersion, since)
	return order <= 0, err
}

// patch changes nothing in the object of that version and UID.
func patch(o *metav1.PartialObjectMetadata) ([]byte, error) {
	return json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": o.ResourceVersion, "uid": o.UID}})
}

// harmless reports whether another client has written or deleted the object.
func harmless(err error) bool { return apierrors.IsConflict(err) || apierrors.IsNotFound(err) }

// passing errors are worth another try.
func passing(err error) bool {
	return apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) ||
		apierrors.IsInternalError(err) || apierrors.IsTimeout(err) || apierrors.ReasonForError(err) == metav1.StatusReasonUnknown
}
