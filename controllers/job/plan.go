package job

import (
	"cmp"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// burst is how many pods one reconcile creates, deletes or counts at most, so
// that one huge Job does not hold a worker for long and the UIDs in its status
// stay below 20 KiB.
const burst = 500

// Plan holds what is to be done with the pods before they are counted.
type Plan struct {
	// Finish is the reason of the Job's end, FailureTarget or
	// SuccessCriteriaMet; nil while it goes on.
	Finish *batchv1.JobCondition
	// Managed is set if the number of pods was looked at.
	Managed bool
	// Delete are pods to delete; Untrack is set if they are not counted.
	Delete  []*corev1.Pod
	Untrack bool
	// Create are pods to create.
	Create []Birth
	// Again is when to look again although nothing happened; 0: never.
	Again time.Duration
}

// Birth is a pod to create.
type Birth struct {
	// Index is its completion index, unknown (-1) without one.
	Index int
	// Failures and Ignored of its index so far, where those are limited.
	Failures, Ignored int32
}

// plan decides which pods to create and delete.
func (v *view) plan() Plan {
	p := Plan{Finish: v.finish()}
	if p.Finish != nil {
		p.Delete = v.active
		return p
	}
	if v.settled && v.job.DeletionTimestamp == nil {
		p.Managed = true
		v.manage(&p)
	}
	if left, ok := v.deadline(); ok && (p.Again == 0 || left < p.Again) {
		p.Again = left
	}
	return p
}

func condition(t batchv1.JobConditionType, reason, message string, now time.Time) *batchv1.JobCondition {
	at := metav1.NewTime(now)
	return &batchv1.JobCondition{Type: t, Status: corev1.ConditionTrue, LastProbeTime: at, LastTransitionTime: at, Reason: reason, Message: message}
}

func find(status *batchv1.JobStatus, t batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range status.Conditions {
		if status.Conditions[i].Type == t {
			return &status.Conditions[i]
		}
	}
	return nil
}

func isTrue(c *batchv1.JobCondition) bool { return c != nil && c.Status == corev1.ConditionTrue }

// finish finds out why the Job ends, other than that enough pods succeeded: what
// was decided before comes first, then failures, then the success policy.
func (v *view) finish() *batchv1.JobCondition {
	for _, t := range []batchv1.JobConditionType{batchv1.JobSuccessCriteriaMet, batchv1.JobFailureTarget} {
		if c := find(&v.job.Status, t); isTrue(c) {
			return c.DeepCopy()
		}
	}
	if reason, message := v.failure(); reason != "" {
		return condition(batchv1.JobFailureTarget, reason, message, v.now)
	}
	if v.indexed() {
		if message, ok := successMet(v.spec.SuccessPolicy, v.completions(), v.completed); ok {
			return condition(batchv1.JobSuccessCriteriaMet, batchv1.JobReasonSuccessPolicy, message, v.now)
		}
	}
	return nil
}

func (v *view) failure() (reason, message string) {
	for i := range v.pods {
		if text := v.pods[i].verdict.message; text != "" {
			return batchv1.JobReasonPodFailurePolicy, text
		}
	}
	if v.failed > ptr.Deref(v.spec.BackoffLimit, 6) || v.restartsExceeded() {
		return batchv1.JobReasonBackoffLimitExceeded, "Job has reached the specified backoff limit"
	}
	if left, ok := v.deadline(); ok && left <= 0 {
		return batchv1.JobReasonDeadlineExceeded, "Job was active longer than specified deadline"
	}
	if !v.indexed() || !v.perIndex() {
		return "", ""
	}
	switch n := v.failedIndexes.Len(); {
	case v.spec.MaxFailedIndexes != nil && n > int(*v.spec.MaxFailedIndexes):
		return batchv1.JobReasonMaxFailedIndexesExceeded, "Job has exceeded the specified maximal number of failed indexes"
	case n > 0 && n+v.completed.Len() >= v.completions():
		return batchv1.JobReasonFailedIndexes, "Job has failed indexes"
	}
	return "", ""
}

// deadline returns how long the Job may still be active.
func (v *view) deadline() (left time.Duration, ok bool) {
	if v.spec.ActiveDeadlineSeconds == nil || v.suspended() {
		return 0, false
	}
	start := v.now
	if v.job.Status.StartTime != nil {
		start = v.job.Status.StartTime.Time
	}
	return podapi.Seconds(*v.spec.ActiveDeadlineSeconds) - v.now.Sub(start), true
}

// restartsExceeded counts restarts of containers where those take the place of
// new pods.
func (v *view) restartsExceeded() bool {
	if v.spec.Template.Spec.RestartPolicy != corev1.RestartPolicyOnFailure {
		return false
	}
	var n int32
	for i := range v.pods {
		s := &v.pods[i].Status
		if s.Phase != corev1.PodRunning && s.Phase != corev1.PodPending {
			continue
		}
		for _, list := range [][]corev1.ContainerStatus{s.InitContainerStatuses, s.ContainerStatuses} {
			for k := range list {
				n += list[k].RestartCount
			}
		}
	}
	return n > 0 && n >= ptr.Deref(v.spec.BackoffLimit, 6)
}

func (v *view) manage(p *Plan) {
	if v.suspended() {
		p.Delete, p.Untrack = v.active, true
		return
	}
	want := v.parallelism()
	if v.spec.Completions != nil {
		want = max(0, min(want, v.completions()-int(v.succeeded)))
	} else if v.succeeded > 0 {
		want = len(v.active) // pods that work off a queue end when it is empty
	}
	surplus, kept := v.surplus(want)
	if len(surplus) > 0 {
		p.Delete, p.Untrack = surplus[:min(len(surplus), burst)], true
		return
	}
	missing := want - len(kept)
	if v.onlyReplace() {
		missing -= int(v.terminating)
	}
	if missing > 0 {
		v.create(p, min(missing, burst))
	}
}

// surplus returns the active pods to delete: those without a valid index, all
// but one of the same index, then those that have come least far.
func (v *view) surplus(want int) (surplus, kept []*corev1.Pod) {
	kept = slices.Clone(v.active)
	if v.indexed() {
		byIndex := map[int]*corev1.Pod{}
		for _, p := range v.active {
			i := completionIndex(p)
			if i == unknown || i >= v.completions() {
				surplus = append(surplus, p)
				continue
			}
			if other := byIndex[i]; other == nil {
				byIndex[i] = p
			} else if furtherAlong(p, other) > 0 {
				surplus, byIndex[i] = append(surplus, other), p
			} else {
				surplus = append(surplus, p)
			}
		}
		kept = slices.DeleteFunc(kept, func(p *corev1.Pod) bool { return byIndex[completionIndex(p)] != p })
	}
	if more := len(v.active) - want - len(surplus); more > 0 {
		slices.SortStableFunc(kept, furtherAlong)
		surplus, kept = append(surplus, kept[:more]...), kept[more:]
	}
	return surplus, kept
}

// furtherAlong orders pods by what is lost with them: bound, running, ready,
// ready for long, not restarted, old pods come last.
func furtherAlong(a, b *corev1.Pod) int {
	flag := func(x, y bool) int {
		switch {
		case x == y:
			return 0
		case y:
			return -1
		}
		return 1
	}
	sinceA, readyA := podapi.ReadySince(a)
	sinceB, readyB := podapi.ReadySince(b)
	return cmp.Or(
		flag(a.Spec.NodeName != "", b.Spec.NodeName != ""),
		flag(a.Status.Phase == corev1.PodRunning, b.Status.Phase == corev1.PodRunning),
		flag(readyA, readyB),
		sinceB.Compare(sinceA),
		cmp.Compare(restarts(b), restarts(a)),
		b.CreationTimestamp.Compare(a.CreationTimestamp.Time),
		cmp.Compare(b.Name, a.Name),
	)
}

func restarts(p *corev1.Pod) int32 {
	var n int32
	for i := range p.Status.ContainerStatuses {
		n = max(n, p.Status.ContainerStatuses[i].RestartCount)
	}
	return n
}

func (v *view) create(p *Plan, n int) {
	if !v.perIndex() {
		if left := v.backoff.remaining(v.now); left > 0 {
			p.Again = left
			return
		}
	}
	if !v.indexed() {
		for range n {
			p.Create = append(p.Create, Birth{Index: unknown})
		}
		return
	}
	for _, i := range v.missing(n) {
		b := Birth{Index: i}
		if m := v.last[i]; m != nil {
			if left := (Backoff{Failures: failures(m.Pod) + 1, Last: finished(m.Pod)}).remaining(v.now); left > 0 {
				if p.Again == 0 || left < p.Again {
					p.Again = left
				}
				continue
			}
			b.Failures, b.Ignored = annotated(m.Pod, batchv1.JobIndexFailureCountAnnotation), annotated(m.Pod, batchv1.JobIndexIgnoredFailureCountAnnotation)
			if m.verdict.counted() {
				b.Failures++
			} else {
				b.Ignored++
			}
		}
		p.Create = append(p.Create, b)
	}
}

// missing returns the first n indexes that need a pod.
func (v *view) missing(n int) []int {
	var busy []int
	for i := range v.pods {
		m := &v.pods[i]
		if m.index != unknown && (podapi.IsActive(m.Pod) || v.onlyReplace() && podapi.IsTerminating(m.Pod)) {
			busy = append(busy, m.index)
		}
	}
	return v.completed.Union(v.failedIndexes).With(busy).FirstMissing(n, v.completions())
}
