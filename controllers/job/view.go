package job

import (
	"math"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/batch"
	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// Observed holds what a reconcile has read.
type Observed struct {
	// Job is the object; it is not changed.
	Job *batchv1.Job
	// Pods are the pods it controls.
	Pods []*corev1.Pod
	// Settled is set if the cache shows all earlier creations and deletions.
	Settled bool
	// Backoff records the pods counted before.
	Backoff Backoff
}

// unknown is the index of a pod that has none.
const unknown = -1

// member is a pod of the Job with what is asked of it again and again.
type member struct {
	*corev1.Pod
	index   int  // unknown if it has none
	tracked bool // has the finalizer: is not counted yet
	failed  bool
	verdict verdict // of a failed pod
}

// view is Observed interpreted: the input of all decisions.
type view struct {
	job  *batchv1.Job
	spec *batchv1.JobSpec
	now  time.Time

	settled     bool
	pods        []member // by index, if there are indexes
	active      []*corev1.Pod
	terminating int32

	noted             sets.Set[types.UID] // pods in the status as uncounted
	succeeded, failed int32               // counted, uncounted and new ones
	before, completed Indexes             // completed indexes: in the status, and now
	failedIndexes     Indexes
	last              map[int]*member // last failed pods of indexes that wait for the next one
	backoff           Backoff
}

func newView(o Observed, now time.Time) *view {
	v := &view{job: o.Job, spec: &o.Job.Spec, now: now, settled: o.Settled, noted: sets.New[types.UID]()}
	v.pods = make([]member, len(o.Pods))
	for i, p := range o.Pods {
		m := member{Pod: p, index: completionIndex(p), tracked: slices.Contains(p.Finalizers, batchv1.JobTrackingFinalizer), failed: v.isFailed(p)}
		if m.failed {
			m.verdict = judge(v.spec.PodFailurePolicy, p)
		}
		v.pods[i] = m
		if podapi.IsActive(p) {
			v.active = append(v.active, p)
		}
		if podapi.IsTerminating(p) {
			v.terminating++
		}
	}
	if v.indexed() {
		slices.SortStableFunc(v.pods, func(a, b member) int { return a.index - b.index })
	}
	v.count(o.Backoff)
	if v.indexed() {
		v.countIndexes()
	}
	return v
}

func (v *view) indexed() bool    { return batch.IsIndexed(v.spec) }
func (v *view) suspended() bool  { return ptr.Deref(v.spec.Suspend, false) }
func (v *view) parallelism() int { return int(ptr.Deref(v.spec.Parallelism, 1)) }
func (v *view) completions() int { return int(ptr.Deref(v.spec.Completions, 0)) }
func (v *view) perIndex() bool   { return v.spec.BackoffLimitPerIndex != nil }
func (v *view) onlyReplace() bool {
	return ptr.Deref(v.spec.PodReplacementPolicy, "") == batchv1.Failed
}

// valid reports whether a pod is one of the Job's as it is now.
func (v *view) valid(m *member) bool {
	return !v.indexed() || m.index != unknown && m.index < v.completions()
}

// isFailed counts pods that go before their end as failed, unless only those
// that have failed are replaced: then they will.
func (v *view) isFailed(p *corev1.Pod) bool {
	if p.Status.Phase == corev1.PodFailed {
		return true
	}
	return !v.onlyReplace() && p.DeletionTimestamp != nil && p.Status.Phase != corev1.PodSucceeded
}

func (v *view) count(known Backoff) {
	status := &v.job.Status
	v.succeeded, v.failed = status.Succeeded, status.Failed
	if u := status.UncountedTerminatedPods; u != nil {
		v.noted.Insert(u.Succeeded...).Insert(u.Failed...)
		v.succeeded += int32(len(u.Succeeded))
		v.failed += int32(len(u.Failed))
	}
	var succeeded, failed []*corev1.Pod
	for i := range v.pods {
		m := &v.pods[i]
		if !m.tracked || !v.valid(m) || v.noted.Has(m.UID) {
			continue
		}
		if m.Status.Phase == corev1.PodSucceeded {
			succeeded = append(succeeded, m.Pod)
			v.succeeded++
		} else if m.failed {
			failed = append(failed, m.Pod)
			if m.verdict.counted() {
				v.failed++
			}
		}
	}
	v.backoff = known.after(succeeded, failed)
}

func (v *view) countIndexes() {
	v.before = ParseIndexes(v.job.Status.CompletedIndexes, v.completions())
	var done, failed []int
	active := sets.New[int]()
	for i := range v.pods {
		m := &v.pods[i]
		if podapi.IsActive(m.Pod) {
			active.Insert(m.index)
		}
		switch {
		case !m.tracked || !v.valid(m):
		case m.Status.Phase == corev1.PodSucceeded:
			done = append(done, m.index)
		case v.failsIndex(m):
			failed = append(failed, m.index)
		}
	}
	v.completed = v.before.With(done)
	v.succeeded = int32(v.completed.Len())
	if !v.perIndex() {
		return
	}
	v.failedIndexes = ParseIndexes(ptr.Deref(v.job.Status.FailedIndexes, ""), v.completions()).With(failed)
	v.last = map[int]*member{}
	for i := range v.pods {
		m := &v.pods[i]
		if !m.tracked || !v.valid(m) || !m.failed || active.Has(m.index) || v.completed.Has(m.index) || v.failedIndexes.Has(m.index) {
			continue
		}
		if other := v.last[m.index]; other == nil || failures(other.Pod) <= failures(m.Pod) && !finished(m.Pod).Before(finished(other.Pod)) {
			v.last[m.index] = m
		}
	}
}

func (v *view) failsIndex(m *member) bool {
	if !v.perIndex() || !m.failed {
		return false
	}
	if m.verdict.action == batchv1.PodFailurePolicyActionFailIndex {
		return true
	}
	return m.verdict.counted() && annotated(m.Pod, batchv1.JobIndexFailureCountAnnotation) >= *v.spec.BackoffLimitPerIndex
}

func completionIndex(p *corev1.Pod) int {
	i, err := strconv.Atoi(p.Annotations[batchv1.JobCompletionIndexAnnotation])
	if err != nil || i < 0 {
		return unknown
	}
	return i
}

// failures returns the failures of the pod's index before it, ignored ones too.
func failures(p *corev1.Pod) int32 {
	return annotated(p, batchv1.JobIndexFailureCountAnnotation) + annotated(p, batchv1.JobIndexIgnoredFailureCountAnnotation)
}

// annotated returns the number in an annotation, 0 when there is none that makes sense.
func annotated(p *corev1.Pod, key string) int32 {
	n, err := strconv.Atoi(p.Annotations[key])
	if err != nil || n < 0 || n > math.MaxInt32 {
		return 0
	}
	return int32(n)
}
