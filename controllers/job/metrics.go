package job

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/batch"
	"github.com/coracle-k8s/coracle/apis/histogram"
)

// metrics have upstream's names, labels and values.
type metrics struct {
	syncDuration                                              *prometheus.HistogramVec
	syncs, finished, external, podsFinished, judged, tracking *prometheus.CounterVec
	indexes, creations                                        *prometheus.CounterVec
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Subsystem: "job_controller", Name: name, Help: help}, labels)
	}
	return &metrics{
		syncDuration: histogram.NewVec(prometheus.HistogramOpts{
			Subsystem: "job_controller", Name: "job_sync_duration_seconds", Help: "[STABLE] The time it took to sync a job",
			Buckets: prometheus.ExponentialBuckets(0.004, 2, 15),
		}, []string{"completion_mode", "result", "action"}),
		syncs:        counter("job_syncs_total", "[STABLE] The number of job syncs", "completion_mode", "result", "action"),
		finished:     counter("jobs_finished_total", "[STABLE] The number of finished jobs", "completion_mode", "result", "reason"),
		external:     counter("jobs_by_external_controller_total", "[ALPHA] The number of Jobs managed by an external controller", "controller_name"),
		podsFinished: counter("job_pods_finished_total", "[STABLE] The number of finished Pods that are fully tracked", "completion_mode", "result"),
		judged:       counter("pod_failures_handled_by_failure_policy_total", "[BETA] The number of failed Pods handled by failure policy with respect to the failure policy action applied based on the matched rule.", "action"),
		tracking:     counter("terminated_pods_tracking_finalizer_total", "[BETA] The number of terminated pods (phase=Failed|Succeeded) that have the finalizer batch.kubernetes.io/job-tracking. The event label can be \"add\" or \"delete\".", "event"),
		indexes:      counter("job_finished_indexes_total", "[ALPHA] The number of finished indexes.", "status", "backoffLimit"),
		creations:    counter("job_pods_creation_total", "[ALPHA] The number of Pods created by the Job controller labelled with a reason for the Pod creation.", "reason", "status"),
	}
}

// Collectors returns the metrics, to be registered with a registry of the cluster.
func (r *Reconciler) Collectors() []prometheus.Collector {
	m := r.metrics
	return []prometheus.Collector{m.syncDuration, m.syncs, m.finished, m.external, m.podsFinished, m.judged, m.tracking, m.indexes, m.creations}
}

const succeeded, failed = "succeeded", "failed"

func mode(j *batchv1.Job) string {
	if batch.IsIndexed(&j.Spec) {
		return string(batchv1.IndexedCompletion)
	}
	return string(batchv1.NonIndexedCompletion)
}

// synced counts a reconcile that did something with a plan.
func (m *metrics) synced(j *batchv1.Job, p Plan, took time.Duration, err error) {
	action, result := "tracking", "success"
	switch {
	case !p.Managed:
		action = "reconciling"
	case len(p.Delete) > 0:
		action = "pods_deleted"
	case len(p.Create) > 0:
		action = "pods_created"
	}
	if err != nil {
		result = "error"
	}
	m.syncs.WithLabelValues(mode(j), result, action).Inc()
	m.syncDuration.WithLabelValues(mode(j), result, action).Observe(took.Seconds())
}

// stored counts the changes from the status before.
func (m *metrics) stored(j *batchv1.Job, status *batchv1.JobStatus) {
	count := func(of *prometheus.CounterVec, n int32, labels ...string) {
		if n > 0 {
			of.WithLabelValues(labels...).Add(float64(n))
		}
	}
	more := status.Succeeded - j.Status.Succeeded
	if batch.IsIndexed(&j.Spec) {
		completions := int(ptr.Deref(j.Spec.Completions, 0))
		newly := func(is, was string) int32 {
			if is == was {
				return 0
			}
			return int32(ParseIndexes(is, completions).Len() - ParseIndexes(was, completions).Len())
		}
		limit := "global"
		if j.Spec.BackoffLimitPerIndex != nil {
			limit = "perIndex"
			count(m.indexes, newly(ptr.Deref(status.FailedIndexes, ""), ptr.Deref(j.Status.FailedIndexes, "")), failed, limit)
		}
		more = newly(status.CompletedIndexes, j.Status.CompletedIndexes)
		count(m.indexes, more, succeeded, limit)
	}
	count(m.podsFinished, more, mode(j), succeeded)
	count(m.podsFinished, status.Failed-j.Status.Failed, mode(j), failed)
}

// ended counts a Job that has come to its end.
func (m *metrics) ended(j *batchv1.Job, end *batchv1.JobCondition) {
	result := succeeded
	if end.Type == batchv1.JobFailed {
		result = failed
	}
	m.finished.WithLabelValues(mode(j), result, end.Reason).Inc()
}

// created counts pods that were made, and those that could not be.
func (m *metrics) created(v *view, wanted, made int) {
	if wanted == 0 {
		return
	}
	reason := "new"
	switch {
	case v.onlyReplace() && v.failed > 0:
		reason = "recreate_failed"
	case v.failed > 0 || v.terminating > 0:
		reason = "recreate_terminating_or_failed"
	}
	if made > 0 {
		m.creations.WithLabelValues(reason, succeeded).Add(float64(made))
	}
	if made < wanted {
		m.creations.WithLabelValues(reason, failed).Add(float64(wanted - made))
	}
}

// judgements counts the failure policy's actions on pods that are counted now,
// and were not before.
func (m *metrics) judgements(v *view, untrack []*corev1.Pod) {
	if v.spec.PodFailurePolicy == nil {
		return
	}
	now := sets.New[types.UID]()
	for _, p := range untrack {
		now.Insert(p.UID)
	}
	for i := range v.pods {
		if p := &v.pods[i]; p.failed && p.verdict.action != "" && now.Has(p.UID) && !v.noted.Has(p.UID) {
			m.judged.WithLabelValues(string(p.verdict.action)).Inc()
		}
	}
}

// seen counts pods that ended, and those that were let go afterwards. old is nil
// for a new one, now for one that is gone.
func (m *metrics) seen(old, now *corev1.Pod) {
	held := func(p *corev1.Pod) bool {
		return p != nil && (p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed) && hasFinalizer(p)
	}
	switch was, is := held(old), held(now); {
	case is && !was:
		m.tracking.WithLabelValues("add").Inc()
	case was && !is:
		m.tracking.WithLabelValues("delete").Inc()
	}
}

// met counts a new Job that another controller manages.
func (m *metrics) met(j *batchv1.Job) {
	if !ours(j) {
		m.external.WithLabelValues(*j.Spec.ManagedBy).Inc()
	}
}
