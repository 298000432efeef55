package cronjob

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/batch"
	"github.com/coracle-k8s/coracle/controllers/internal/golden"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata")

// The latest missed time is the one that a walk through all of them ends at.
func TestLastAgainstAWalk(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 1))
		minute := func() string {
			return []string{"*", "*/7", "0", fmt.Sprint(rng.IntN(60)), "1,2,50"}[rng.IntN(5)]
		}
		hour := []string{"*", "3", "6-16/4", "*/5"}[rng.IntN(4)]
		text := fmt.Sprintf("%s %s * * %s", minute(), hour, []string{"*", "1-5", "0"}[rng.IntN(3)])
		if rng.IntN(6) == 0 {
			text = fmt.Sprintf("@every %dm", 1+rng.IntN(90))
		}
		s, err := batch.ParseSchedule(text)
		if err != nil {
			t.Fatal(err)
		}
		from := created.Add(time.Duration(rng.IntN(86400)) * time.Second)
		now := from.Add(time.Duration(rng.IntN(14*86400)) * time.Second)
		var want time.Time
		for at := s.Next(from); !at.After(now); at = s.Next(at) {
			want = at
		}
		got, missed, err := last(s, from, now)
		if err != nil || !got.Equal(want) || got.IsZero() && missed != 0 {
			t.Errorf("%s from %s to %s: %s of %d (%v), want %s", text, from, now, got, missed, err, want)
		}
	}
}

// Random CronJobs are woken on time or late; the times of their Jobs ascend.
func TestTranscript(t *testing.T) {
	r := golden.NewRandom(1)
	for n := range 8 {
		c := newCronJob(func(c *batchv1.CronJob) {
			c.Spec.Schedule = golden.Pick(r, "0 * * * *", "*/20 * * * *", "30 2 * * *", "@every 45m")
			c.Spec.TimeZone = golden.Maybe(r, "Europe/Berlin")
			c.Spec.ConcurrencyPolicy = golden.Pick(r, batchv1.AllowConcurrent, batchv1.ForbidConcurrent, batchv1.ReplaceConcurrent)
			c.Spec.StartingDeadlineSeconds = golden.Maybe(r, int64(600))
			c.Spec.SuccessfulJobsHistoryLimit, c.Spec.FailedJobsHistoryLimit = ptr.To(int32(r.IntN(3))), ptr.To(int32(r.IntN(2)))
		})
		r.Say("%d: %s in %s, %s, deadline %d, history %d and %d", n, c.Spec.Schedule, ptr.Deref(c.Spec.TimeZone, "no zone"), c.Spec.ConcurrencyPolicy,
			ptr.Deref(c.Spec.StartingDeadlineSeconds, -1), *c.Spec.SuccessfulJobsHistoryLimit, *c.Spec.FailedJobsHistoryLimit)
		live(t, r, c)
	}
	golden.Check(t, *rewrite, "lives", r.String())
}

func live(t *testing.T, r *golden.Random, c *batchv1.CronJob) {
	now, jobs := created, []*batchv1.Job(nil)
	for range 12 {
		status, notes := Review(c, jobs, nil)
		d := plan(c, &status, now)
		line := now.Format("Mon 15:04:05")
		for _, note := range append(notes, d.Notes...) {
			line += " " + note.Reason
		}
		if !d.Start.IsZero() {
			if last := status.LastScheduleTime; last != nil && !d.Start.After(last.Time) {
				t.Errorf("%s: %s was started before", line, d.Start)
			}
			if d.Replace {
				line += fmt.Sprintf(" replaces %d", len(status.Active))
				status.Active, jobs = nil, nil
			}
			j, err := NewJob(c, d.Start)
			if err != nil {
				t.Fatal(err)
			}
			j.UID, j.Status.StartTime = types.UID(j.Name), ptr.To(metav1.NewTime(now))
			jobs = append(jobs, j)
			Started(&status, j, d.Start)
			line += fmt.Sprintf(" starts %s for %s", j.Name, j.Annotations[batchv1.CronJobScheduledTimestampAnnotation])
		}
		c.Status = status
		for _, gone := range Expired(c, jobs) {
			line += " forgets " + gone.Name
			for i := range jobs {
				if jobs[i] == gone {
					jobs = append(jobs[:i:i], jobs[i+1:]...)
					break
				}
			}
		}
		r.Say("  %s, %d active, again in %v", line, len(c.Status.Active), d.Again)
		now = now.Add(golden.Pick(r, d.Again, d.Again, d.Again+15*time.Minute, 3*time.Hour))
		for i, j := range jobs {
			if len(j.Status.Conditions) == 0 && r.Chance(2) {
				jobs[i] = j.DeepCopy()
				jobs[i].Status.CompletionTime = ptr.To(metav1.NewTime(now))
				jobs[i].Status.Conditions = []batchv1.JobCondition{{Type: golden.Pick(r, batchv1.JobComplete, batchv1.JobFailed), Status: corev1.ConditionTrue}}
			}
		}
	}
}
