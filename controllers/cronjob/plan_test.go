package cronjob

import (
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/batch"
)

// created is a Tuesday noon.
var created = time.Date(2024, 1, 2, 12, 0, 0, 0, time.UTC)

func newCronJob(change func(*batchv1.CronJob)) *batchv1.CronJob {
	c := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: "c", Namespace: "ns", UID: "cron", CreationTimestamp: metav1.NewTime(created)}}
	c.Spec.Schedule = "0 * * * *"
	if change != nil {
		change(c)
	}
	batch.SetDefaultsCronJob(c)
	return c
}

func TestDecide(t *testing.T) {
	active := func(c *batchv1.CronJob) {
		c.Status.Active = []corev1.ObjectReference{{Name: "x", Namespace: "ns", UID: "x"}}
	}
	for _, tc := range []struct {
		name   string
		change func(*batchv1.CronJob)
		after  time.Duration // since creation
		want   string
	}{
		{"too early", nil, 30 * time.Minute, "again in 30m0.1s"},
		{"on time", nil, time.Hour, "start 13:00, again in 1h0m0.1s"},
		{"the last of many missed", nil, 5*time.Hour + time.Minute, "start 17:00, again in 59m0.1s"},
		{"very many missed", nil, 101 * time.Hour, "start 17:00, again in 1h0m0.1s, TooManyMissedTimes"},
		{"done", func(c *batchv1.CronJob) {
			c.Status.LastScheduleTime = &metav1.Time{Time: created.Add(time.Hour)}
		}, 90 * time.Minute, "again in 30m0.1s"},
		{"made but not noted", func(c *batchv1.CronJob) {
			c.Status.Active = []corev1.ObjectReference{{Name: JobName(c, created.Add(time.Hour)), Namespace: "ns"}}
		}, time.Hour, "again in 1h0m0.1s"},
		{"suspended", func(c *batchv1.CronJob) { c.Spec.Suspend = ptr.To(true) }, time.Hour, ""},
		{"within the deadline", func(c *batchv1.CronJob) { c.Spec.StartingDeadlineSeconds = ptr.To(int64(600)) }, time.Hour + 5*time.Minute, "start 13:00, again in 55m0.1s"},
		{"past the deadline", func(c *batchv1.CronJob) { c.Spec.StartingDeadlineSeconds = ptr.To(int64(600)) }, time.Hour + 15*time.Minute, "again in 45m0.1s"},
		{"allowed", active, time.Hour, "start 13:00, again in 1h0m0.1s"},
		{"forbidden", func(c *batchv1.CronJob) { active(c); c.Spec.ConcurrencyPolicy = batchv1.ForbidConcurrent }, time.Hour, "again in 1h0m0.1s, JobAlreadyActive"},
		{"replaced", func(c *batchv1.CronJob) { active(c); c.Spec.ConcurrencyPolicy = batchv1.ReplaceConcurrent }, time.Hour, "start 13:00, replacing, again in 1h0m0.1s"},
		{"in a zone", func(c *batchv1.CronJob) {
			c.Spec.Schedule, c.Spec.TimeZone = "0 9 * * *", ptr.To("America/New_York")
		}, 2*time.Hour + time.Minute, "start 14:00, again in 23h59m0.1s"},
		{"in no zone", func(c *batchv1.CronJob) { c.Spec.TimeZone = ptr.To("Moon") }, time.Hour, "UnknownTimeZone"},
		{"irregular", func(c *batchv1.CronJob) { c.Spec.Schedule = "30 6-16/4 * * 1-5" }, 3 * time.Hour, "start 14:30, again in 15h30m0.1s"},
		{"every", func(c *batchv1.CronJob) { c.Spec.Schedule = "@every 7m" }, 15 * time.Minute, "start 12:14, again in 6m0.1s"},
		{"every, with a deadline that is shorter", func(c *batchv1.CronJob) {
			c.Spec.Schedule, c.Spec.StartingDeadlineSeconds = "@every 7m", ptr.To(int64(90))
		}, 15 * time.Minute, "start 12:14, again in 6m0.1s"},
		{"every, past the deadline", func(c *batchv1.CronJob) {
			c.Spec.Schedule, c.Spec.StartingDeadlineSeconds = "@every 7m", ptr.To(int64(30))
		}, 15 * time.Minute, "again in 6m0.1s, MissSchedule"},
		{"never", func(c *batchv1.CronJob) { c.Spec.Schedule = "59 23 31 2 *" }, time.Hour, "InvalidSchedule"},
		{"nonsense", func(c *batchv1.CronJob) { c.Spec.Schedule = "x" }, time.Hour, "UnparseableSchedule"},
	} {
		c := newCronJob(tc.change)
		if got := describe(plan(c, &c.Status, created.Add(tc.after))); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

func describe(d Decision) string {
	var words []string
	if !d.Start.IsZero() {
		words = append(words, "start "+d.Start.UTC().Format("15:04"))
	}
	if d.Replace {
		words = append(words, "replacing")
	}
	if d.Again > 0 {
		words = append(words, "again in "+d.Again.String())
	}
	for _, n := range d.Notes {
		words = append(words, n.Reason)
	}
	return strings.Join(words, ", ")
}

func ended(name string, how batchv1.JobConditionType, minute int) *batchv1.Job {
	at := metav1.NewTime(created.Add(time.Duration(minute) * time.Minute))
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns", UID: types.UID(name)}, Status: batchv1.JobStatus{StartTime: &at}}
	if how != "" {
		j.Status.Conditions = []batchv1.JobCondition{{Type: how, Status: corev1.ConditionTrue}}
	}
	if how == batchv1.JobComplete {
		j.Status.CompletionTime = &at
	}
	return j
}

func TestExpired(t *testing.T) {
	c := newCronJob(func(c *batchv1.CronJob) {
		c.Spec.SuccessfulJobsHistoryLimit, c.Spec.FailedJobsHistoryLimit = ptr.To(int32(1)), ptr.To(int32(0))
	})
	var got []string
	for _, j := range Expired(c, []*batchv1.Job{ended("c2", batchv1.JobComplete, 2), ended("c1", batchv1.JobComplete, 1), ended("f", batchv1.JobFailed, 3), ended("r", "", 0)}) {
		got = append(got, j.Name)
	}
	if fmt.Sprint(got) != "[c1 f]" {
		t.Errorf("got %v", got)
	}
}

func TestReview(t *testing.T) {
	c := newCronJob(func(c *batchv1.CronJob) {
		for _, name := range []string{"done", "runs", "gone", "late"} {
			c.Status.Active = append(c.Status.Active, corev1.ObjectReference{Name: name, UID: types.UID(name)})
		}
	})
	status, notes := Review(c, []*batchv1.Job{ended("done", batchv1.JobComplete, 5), ended("runs", "", 0), ended("new", "", 0)}, sets.New[types.UID]("gone"))
	var left, reasons []string
	for _, r := range status.Active {
		left = append(left, r.Name)
	}
	for _, n := range notes {
		reasons = append(reasons, n.Reason+": "+n.Message)
	}
	if fmt.Sprint(left) != "[runs late]" || !status.LastSuccessfulTime.Time.Equal(created.Add(5*time.Minute)) {
		t.Errorf("status %+v", status)
	}
	if got := strings.Join(reasons, "; "); got != "SawCompletedJob: Saw completed job: done, condition: Complete; UnexpectedJob: Saw a job that the controller did not create or forgot: new; MissingJob: Active job went missing: gone" {
		t.Errorf("notes %q", got)
	}
	if len(c.Status.Active) != 4 {
		t.Error("the input was changed")
	}
}
