package legacytokens

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Names of the controllers that track the tokens' use and remove unused ones, as upstream's.
const (
	TrackerName = "legacy_token_tracking_controller"
	CleanerName = "legacy-serviceaccount-token-cleaner-controller"
)

const (
	// ConfigMapName is the ConfigMap in kube-system with the day since which uses are recorded.
	ConfigMapName = "kube-apiserver-legacy-service-account-token-tracking"
	// SinceKey has the day in it, as 2006-01-02, UTC.
	SinceKey = "since"
	// LastUsedLabel of a Secret has the day of the last use. The API server sets it.
	LastUsedLabel = "kubernetes.io/legacy-token-last-used"
	// InvalidSinceLabel of a Secret has the day on which its token was marked.
	InvalidSinceLabel = "kubernetes.io/legacy-token-invalid-since"
)

// action is the Cleaner's action on a Secret.
type action int

const (
	keep action = iota
	mark
	remove
)

// trackedFrom returns the first moment of whose uses all are recorded: the day
// after the one in the ConfigMap.
func trackedFrom(tracking *corev1.ConfigMap) (time.Time, error) {
	since, err := time.Parse(time.DateOnly, tracking.Data[SinceKey])
	if err != nil {
		return time.Time{}, fmt.Errorf("parsing %s of config map %s: %w", SinceKey, ConfigMapName, err)
	}
	return since.AddDate(0, 0, 1), nil
}

// unused reports whether a token is old, was not used for the period, and uses were
// recorded for as long. A last use that is not a day is ignored.
func unused(secret *corev1.Secret, tracked, now time.Time, period time.Duration) bool {
	oldest := now.Add(-period)
	if secret.Type != corev1.SecretTypeServiceAccountToken || secret.DeletionTimestamp != nil ||
		tracked.After(oldest) || !secret.CreationTimestamp.Time.Before(oldest) {
		return false
	}
	used, ok := secret.Labels[LastUsedLabel]
	return !ok || before(used, oldest)
}

// before reports whether day is a day, and one before that of t.
func before(day string, t time.Time) bool {
	_, err := time.Parse(time.DateOnly, day)
	return err == nil && day < t.UTC().Format(time.DateOnly)
}

// generated reports whether sa is the Secret's account and lists it, as the
// accounts did for which tokens were made.
func generated(secret *corev1.Secret, sa *corev1.ServiceAccount) bool {
	uid := secret.Annotations[corev1.ServiceAccountUIDKey]
	return (uid == "" || types.UID(uid) == sa.UID) &&
		slices.ContainsFunc(sa.Secrets, func(r corev1.ObjectReference) bool { return r.Name == secret.Name })
}

// end returns what becomes of a generated token that is unused.
func end(secret *corev1.Secret, now time.Time, period time.Duration) action {
	marked := secret.Labels[InvalidSinceLabel]
	if _, err := time.Parse(time.DateOnly, marked); err != nil {
		return mark
	}
	if before(marked, now.Add(-period)) {
		return remove
	}
	return keep
}

// track returns the ConfigMap as it has to be, nil if it is; was is nil if there is none.
func track(was *corev1.ConfigMap, now time.Time) *corev1.ConfigMap {
	is := &corev1.ConfigMap{}
	is.Namespace, is.Name = "kube-system", ConfigMapName
	if was != nil {
		if _, err := time.Parse(time.DateOnly, was.Data[SinceKey]); err == nil {
			return nil
		}
		is = was.DeepCopy()
	}
	if is.Data == nil {
		is.Data = map[string]string{}
	}
	is.Data[SinceKey] = now.UTC().Format(time.DateOnly)
	return is
}
