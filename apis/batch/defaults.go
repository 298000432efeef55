package batch

import (
	"math"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/core"
)

func addDefaults(s *runtime.Scheme) {
	s.AddTypeDefaultingFunc(&batchv1.Job{}, func(obj any) { SetDefaultsJob(obj.(*batchv1.Job)) })
	s.AddTypeDefaultingFunc(&batchv1.JobList{}, func(obj any) { each(obj.(*batchv1.JobList).Items, SetDefaultsJob) })
	s.AddTypeDefaultingFunc(&batchv1.CronJob{}, func(obj any) { SetDefaultsCronJob(obj.(*batchv1.CronJob)) })
	s.AddTypeDefaultingFunc(&batchv1.CronJobList{}, func(obj any) { each(obj.(*batchv1.CronJobList).Items, SetDefaultsCronJob) })
}

func each[T any](items []T, f func(*T)) {
	for i := range items {
		f(&items[i])
	}
}

func orElse[T any](p **T, value T) {
	if *p == nil {
		*p = &value
	}
}

// SetDefaultsJob fills what batch/v1 documents as defaults.
func SetDefaultsJob(j *batchv1.Job) {
	s := &j.Spec
	if s.Completions == nil && s.Parallelism == nil {
		orElse(&s.Completions, 1)
	}
	orElse(&s.Parallelism, 1)
	limit := int32(6)
	if s.BackoffLimitPerIndex != nil {
		limit = math.MaxInt32
	}
	orElse(&s.BackoffLimit, limit)
	if s.Template.Labels != nil && len(j.Labels) == 0 {
		// The same map, not a copy, as upstream: labels that creation adds to
		// the template (see GenerateSelector) show on the job too.
		j.Labels = s.Template.Labels
	}
	orElse(&s.CompletionMode, batchv1.NonIndexedCompletion)
	orElse(&s.Suspend, false)
	replacement := batchv1.TerminatingOrFailed
	if s.PodFailurePolicy != nil {
		replacement = batchv1.Failed
	}
	orElse(&s.PodReplacementPolicy, replacement)
	orElse(&s.ManualSelector, false)
	setJobTemplateDefaults(s)
}

// SetDefaultsCronJob fills what batch/v1 documents as defaults. The job
// template's own defaults wait until a Job is made of it, except for those of
// its pods.
func SetDefaultsCronJob(c *batchv1.CronJob) {
	if c.Spec.ConcurrencyPolicy == "" {
		c.Spec.ConcurrencyPolicy = batchv1.AllowConcurrent
	}
	orElse(&c.Spec.Suspend, false)
	orElse(&c.Spec.SuccessfulJobsHistoryLimit, 3)
	orElse(&c.Spec.FailedJobsHistoryLimit, 1)
	setJobTemplateDefaults(&c.Spec.JobTemplate.Spec)
}

func setJobTemplateDefaults(s *batchv1.JobSpec) {
	if s.PodFailurePolicy != nil {
		for i := range s.PodFailurePolicy.Rules {
			each(s.PodFailurePolicy.Rules[i].OnPodConditions, func(p *batchv1.PodFailurePolicyOnPodConditionsPattern) {
				if p.Status == "" {
					p.Status = corev1.ConditionTrue
				}
			})
		}
	}
	core.SetPodTemplateDefaults(&s.Template)
}
