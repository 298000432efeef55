package job

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// After a failure the next pod waits minBackoff, twice that after the second
// in a row, and never longer than maxBackoff.
const (
	minBackoff = 10 * time.Second
	maxBackoff = 10 * time.Minute
)

// Backoff holds what delays the next pods of a Job: failures since the last success.
type Backoff struct {
	// Failures in a row.
	Failures int32
	// Last is when the last of them was.
	Last time.Time
}

// after returns the backoff when pods have ended that it does not know of.
func (b Backoff) after(succeeded, failed []*corev1.Pod) Backoff {
	if len(succeeded) > 0 {
		b = Backoff{}
		last := finished(slices.MaxFunc(succeeded, byEnd))
		failed = slices.DeleteFunc(slices.Clone(failed), func(p *corev1.Pod) bool { return !finished(p).After(last) })
	}
	if len(failed) > 0 {
		b.Failures += int32(len(failed))
		b.Last = finished(slices.MaxFunc(failed, byEnd))
	}
	return b
}

// remaining returns how long the next pod has to wait at now.
func (b Backoff) remaining(now time.Time) time.Duration {
	if b.Failures == 0 {
		return 0
	}
	wait := minBackoff
	for i := int32(1); i < b.Failures && wait < maxBackoff; i++ {
		wait = min(2*wait, maxBackoff)
	}
	return max(0, wait-now.Sub(b.Last))
}

func byEnd(a, b *corev1.Pod) int { return cmp.Compare(finished(a).UnixNano(), finished(b).UnixNano()) }

// finished returns when the pod ended: when its last container did, or it was no
// longer ready, or was asked to go, or, knowing nothing, when it was created.
func finished(p *corev1.Pod) time.Time {
	if t, ok := lastExit(p); ok {
		return t
	}
	if c := podapi.GetCondition(&p.Status, corev1.PodReady); c != nil && c.Status == corev1.ConditionFalse && !c.LastTransitionTime.IsZero() {
		return c.LastTransitionTime.Time
	}
	if p.DeletionTimestamp != nil {
		return p.DeletionTimestamp.Add(-podapi.Seconds(ptr.Deref(p.DeletionGracePeriodSeconds, 0)))
	}
	return p.CreationTimestamp.Time
}

// lastExit returns when the last container or sidecar ended, if all have.
func lastExit(p *corev1.Pod) (last time.Time, ok bool) {
	see := func(list []corev1.ContainerStatus, which func(string) bool) bool {
		for i := range list {
			if !which(list[i].Name) {
				continue
			}
			t := list[i].State.Terminated
			if t == nil || t.FinishedAt.IsZero() {
				return false
			}
			ok = true
			if t.FinishedAt.After(last) {
				last = t.FinishedAt.Time
			}
		}
		return true
	}
	sidecar := func(name string) bool {
		return slices.ContainsFunc(p.Spec.InitContainers, func(c corev1.Container) bool {
			return c.Name == name && c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		})
	}
	if !see(p.Status.ContainerStatuses, func(string) bool { return true }) || !see(p.Status.InitContainerStatuses, sidecar) {
		return time.Time{}, false
	}
	return last, ok
}
