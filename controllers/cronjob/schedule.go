package cronjob

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/batch"
)

// slack is how long after its time a schedule is looked at, so that a clock
// that is put back a little does not make it early.
const slack = 100 * time.Millisecond

// manyMissed times are worth a warning.
const manyMissed = 100

var errTooDense = errors.New("time difference between two schedules is less than 1 second")

// zoned returns the schedule with the time zone of the spec, if it has none itself.
func zoned(c *batchv1.CronJob) (cron.Schedule, error) {
	text := c.Spec.Schedule
	if zone := ptr.Deref(c.Spec.TimeZone, ""); c.Spec.TimeZone != nil && !strings.Contains(text, "TZ") {
		if _, err := time.LoadLocation(zone); err == nil {
			text = fmt.Sprintf("TZ=%s %s", zone, text)
		}
	}
	return batch.ParseSchedule(text)
}

// last finds the latest time of the schedule after since and not after now,
// zero if there is none, and roughly how many it missed.
func last(s cron.Schedule, since, now time.Time) (at time.Time, missed int64, err error) {
	first := s.Next(since)
	second := s.Next(first)
	switch {
	case now.Before(first):
		return time.Time{}, 0, nil
	case now.Before(second):
		return first, 0, nil
	}
	// A schedule that never comes (February 31) has only zero times.
	step := second.Sub(first).Round(time.Second)
	if step < time.Second {
		return time.Time{}, 0, errTooDense
	}
	missed = int64(now.Sub(first)/step) + 1
	if every, ok := s.(cron.ConstantDelaySchedule); ok {
		return first.Add(now.Sub(first) / every.Delay * every.Delay), missed, nil
	}
	return latest(s, first, now), missed, nil
}

// latest returns the last time of a schedule not after now; first is one. It is
// a binary search by whether there is one more after a second, and does not go
// through all of them. (Upstream takes one step back from now and misses times
// that are not a step apart, such as the last of a working week.)
func latest(s cron.Schedule, first, now time.Time) time.Time {
	seconds := int(now.Sub(first)/time.Second) + 1
	after := sort.Search(seconds, func(n int) bool { return s.Next(first.Add(time.Duration(n) * time.Second)).After(now) })
	if after == 0 {
		return first
	}
	return s.Next(first.Add(time.Duration(after-1) * time.Second))
}

// since returns the last time that needs no more looking at.
func since(c *batchv1.CronJob, status *batchv1.CronJobStatus) time.Time {
	if status.LastScheduleTime != nil {
		return status.LastScheduleTime.Time
	}
	return c.CreationTimestamp.Time
}

// untilNext returns the time until the next time of the schedule.
func untilNext(c *batchv1.CronJob, status *batchv1.CronJobStatus, s cron.Schedule, now time.Time) time.Duration {
	earliest := since(c, status)
	at, _, err := last(s, earliest, now)
	switch {
	case err != nil:
		at = now
	case at.IsZero():
		at = earliest
	}
	return s.Next(at).Add(slack).Sub(now)
}
