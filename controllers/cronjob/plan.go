package cronjob

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/batch"
	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

func kind() schema.GroupVersionKind { return batchv1.SchemeGroupVersion.WithKind("CronJob") }

// Note is an event to send.
type Note struct{ Type, Reason, Message string }

func warning(reason, format string, args ...any) Note {
	return Note{corev1.EventTypeWarning, reason, fmt.Sprintf(format, args...)}
}

func normal(reason, format string, args ...any) Note {
	return Note{corev1.EventTypeNormal, reason, fmt.Sprintf(format, args...)}
}

// Expired returns the finished Jobs beyond the history limits, oldest first.
func Expired(c *batchv1.CronJob, jobs []*batchv1.Job) []*batchv1.Job {
	var out []*batchv1.Job
	for _, h := range []struct {
		ended batchv1.JobConditionType
		limit *int32
	}{{batchv1.JobComplete, c.Spec.SuccessfulJobsHistoryLimit}, {batchv1.JobFailed, c.Spec.FailedJobsHistoryLimit}} {
		var list []*batchv1.Job
		for _, j := range jobs {
			if batch.HasCondition(&j.Status, h.ended) && j.DeletionTimestamp == nil {
				list = append(list, j)
			}
		}
		if n := len(list); h.limit != nil && n > int(*h.limit) {
			slices.SortFunc(list, byStart)
			out = append(out, list[:n-int(*h.limit)]...)
		}
	}
	return out
}

func byStart(a, b *batchv1.Job) int {
	x, y := a.Status.StartTime, b.Status.StartTime
	switch {
	case x == nil && y != nil:
		return 1
	case x != nil && y == nil:
		return -1
	case x != nil && !x.Equal(y):
		return x.Compare(y.Time)
	}
	return cmp.Compare(a.Name, b.Name)
}

// Unexpected reports whether a Job runs that the status does not list.
func Unexpected(status *batchv1.CronJobStatus, jobs []*batchv1.Job) bool {
	return slices.ContainsFunc(jobs, func(j *batchv1.Job) bool { return !batch.IsFinished(&j.Status) && !lists(status, j.UID) })
}

func lists(status *batchv1.CronJobStatus, uid types.UID) bool {
	return slices.ContainsFunc(status.Active, func(r corev1.ObjectReference) bool { return r.UID == uid })
}

func drop(status *batchv1.CronJobStatus, uid types.UID) {
	status.Active = slices.DeleteFunc(status.Active, func(r corev1.ObjectReference) bool { return r.UID == uid })
}

// Review brings the list of active Jobs and the time of the last success up to
// date. Gone are listed Jobs that are known not to exist.
func Review(c *batchv1.CronJob, jobs []*batchv1.Job, gone sets.Set[types.UID]) (batchv1.CronJobStatus, []Note) {
	status := *c.Status.DeepCopy()
	var notes []Note
	for _, j := range jobs {
		listed := lists(&status, j.UID)
		if !batch.IsFinished(&j.Status) {
			if !listed {
				notes = append(notes, warning("UnexpectedJob", "Saw a job that the controller did not create or forgot: %s", j.Name))
			}
			continue
		}
		if listed {
			drop(&status, j.UID)
			notes = append(notes, normal("SawCompletedJob", "Saw completed job: %s, condition: %v", j.Name, end(j)))
		}
		if t := j.Status.CompletionTime; t != nil && batch.HasCondition(&j.Status, batchv1.JobComplete) && (status.LastSuccessfulTime == nil || t.After(status.LastSuccessfulTime.Time)) {
			status.LastSuccessfulTime = t.DeepCopy()
		}
	}
	for _, ref := range slices.Clone(status.Active) {
		if gone.Has(ref.UID) {
			drop(&status, ref.UID)
			notes = append(notes, normal("MissingJob", "Active job went missing: %v", ref.Name))
		}
	}
	return status, notes
}

func end(j *batchv1.Job) batchv1.JobConditionType {
	if batch.HasCondition(&j.Status, batchv1.JobComplete) {
		return batchv1.JobComplete
	}
	return batchv1.JobFailed
}

// Decision holds what is to be done now.
type Decision struct {
	// Start is the time to make a Job for, zero for none.
	Start time.Time
	// Replace is set if the active Jobs go first.
	Replace bool
	// Again is when to look again, 0 for when something changes.
	Again time.Duration
	Notes []Note
}

// plan decides whether to make a Job, by a status that Review made.
func plan(c *batchv1.CronJob, status *batchv1.CronJobStatus, now time.Time) Decision {
	var d Decision
	if c.DeletionTimestamp != nil {
		return d
	}
	note := func(n Note) Decision { d.Notes = append(d.Notes, n); return d }
	if zone := c.Spec.TimeZone; zone != nil {
		if _, err := time.LoadLocation(*zone); err != nil {
			return note(warning("UnknownTimeZone", "invalid timeZone: %q: %s", *zone, err))
		}
	}
	if ptr.Deref(c.Spec.Suspend, false) {
		return d
	}
	if strings.Contains(c.Spec.Schedule, "TZ") {
		note(warning("UnsupportedSchedule", "CRON_TZ or TZ used in schedule %q is not officially supported, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details", c.Spec.Schedule))
	}
	s, err := zoned(c)
	if err != nil {
		return note(warning("UnparseableSchedule", "unparseable schedule: %q : %s", c.Spec.Schedule, err))
	}
	from, deadline := since(c, status), podapi.Seconds(ptr.Deref(c.Spec.StartingDeadlineSeconds, 0))
	// The times of @every count from the last one, so the search begins there.
	_, every := s.(cron.ConstantDelaySchedule)
	if limit := now.Add(-deadline); c.Spec.StartingDeadlineSeconds != nil && limit.After(from) && !every {
		from = limit
	}
	at, missed, err := last(s, from, now)
	if err != nil {
		return note(warning("InvalidSchedule", "invalid schedule: %s : %s", c.Spec.Schedule, err))
	}
	d.Again = untilNext(c, status, s, now)
	if at.IsZero() {
		return d
	}
	if missed > manyMissed {
		note(warning("TooManyMissedTimes", "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"))
	}
	name := JobName(c, at)
	switch {
	case c.Spec.StartingDeadlineSeconds != nil && at.Add(deadline).Before(now):
		return note(warning("MissSchedule", "Missed scheduled time to start a job: %s", at.UTC().Format(time.RFC1123Z)))
	case status.LastScheduleTime != nil && status.LastScheduleTime.Time.Equal(at),
		slices.ContainsFunc(status.Active, func(r corev1.ObjectReference) bool { return r.Name == name && r.Namespace == c.Namespace }):
		return d
	case c.Spec.ConcurrencyPolicy == batchv1.ForbidConcurrent && len(status.Active) > 0:
		return note(normal("JobAlreadyActive", "Not starting job because prior execution is running and concurrency policy is Forbid"))
	}
	d.Start, d.Replace = at, c.Spec.ConcurrencyPolicy == batchv1.ReplaceConcurrent
	return d
}

// JobName returns the name of the Job for a scheduled time: the minutes since 1970.
func JobName(c *batchv1.CronJob, at time.Time) string {
	return fmt.Sprintf("%s-%d", c.Name, at.Unix()/60)
}

// NewJob returns the Job for a scheduled time.
func NewJob(c *batchv1.CronJob, at time.Time) (*batchv1.Job, error) {
	zone, err := time.LoadLocation(ptr.Deref(c.Spec.TimeZone, ""))
	if err != nil {
		return nil, fmt.Errorf("loading time zone: %w", err)
	}
	t := c.Spec.JobTemplate.DeepCopy()
	annotations := map[string]string{}
	maps.Copy(annotations, t.Annotations)
	annotations[batchv1.CronJobScheduledTimestampAnnotation] = at.In(zone).Format(time.RFC3339)
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: JobName(c, at), Namespace: c.Namespace, Labels: t.Labels, Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(c, kind())}},
		Spec: t.Spec,
	}, nil
}

// Started updates the status after the Job for a time was made.
func Started(status *batchv1.CronJobStatus, j *batchv1.Job, at time.Time) {
	status.Active = append(status.Active, corev1.ObjectReference{Kind: "Job", APIVersion: batchv1.SchemeGroupVersion.String(),
		Namespace: j.Namespace, Name: j.Name, UID: j.UID, ResourceVersion: j.ResourceVersion})
	status.LastScheduleTime = &metav1.Time{Time: at}
}
