package job

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/record"
)

// events are upstream's reasons and words.
type events struct {
	recorder record.EventRecorder
	job      *batchv1.Job
}

func (e events) normal(reason, format string, args ...any) {
	e.recorder.Eventf(e.job, corev1.EventTypeNormal, reason, format, args...)
}

func (e events) warning(reason, format string, args ...any) {
	e.recorder.Eventf(e.job, corev1.EventTypeWarning, reason, format, args...)
}

func (e events) transition(t *Tracking) {
	if t.Suspended {
		e.normal("Suspended", "Job suspended")
	}
	if t.Resumed {
		e.normal("Resumed", "Job resumed")
	}
}

func (e events) ended(status *batchv1.JobStatus, end *batchv1.JobCondition) {
	if end.Type == batchv1.JobFailed {
		e.warning(end.Reason, "%s", end.Message)
		return
	}
	if e.job.Spec.Completions != nil && status.Succeeded > *e.job.Spec.Completions {
		e.warning("TooManySucceededPods", "Too many succeeded pods running after completion count reached")
	}
	e.normal("Completed", "Job completed")
}
