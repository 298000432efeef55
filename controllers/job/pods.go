package job

import (
	"slices"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/coracle-k8s/coracle/apis/batch"
	"github.com/coracle-k8s/coracle/controllers/internal/owned"
)

// kind returns the kind in owner references.
func kind() schema.GroupVersionKind { return batchv1.SchemeGroupVersion.WithKind("Job") }

const (
	// indexVariable is the environment variable with the completion index of a pod.
	indexVariable = "JOB_COMPLETION_INDEX"
	// maxPrefix is the length of the part of a pod's name that is not random.
	maxPrefix = 58
)

// NewPod returns a pod to create for j.
func NewPod(j *batchv1.Job, b Birth) *corev1.Pod {
	p := owned.NewPod(j, kind(), &j.Spec.Template)
	if !slices.Contains(p.Finalizers, batchv1.JobTrackingFinalizer) {
		p.Finalizers = append(p.Finalizers, batchv1.JobTrackingFinalizer)
	}
	if batch.IsIndexed(&j.Spec) {
		setIndex(p, j, b)
	}
	return p
}

func setIndex(p *corev1.Pod, j *batchv1.Job, b Birth) {
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			if !slices.ContainsFunc(list[i].Env, func(e corev1.EnvVar) bool { return e.Name == indexVariable }) {
				list[i].Env = append(list[i].Env, corev1.EnvVar{Name: indexVariable, ValueFrom: &corev1.EnvVarSource{
					FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels['" + batchv1.JobCompletionIndexAnnotation + "']"}}})
			}
		}
	}
	index := strconv.Itoa(b.Index)
	set := func(m *map[string]string, key, value string) {
		if *m == nil {
			*m = map[string]string{}
		}
		(*m)[key] = value
	}
	set(&p.Annotations, batchv1.JobCompletionIndexAnnotation, index)
	set(&p.Labels, batchv1.JobCompletionIndexAnnotation, index)
	p.Spec.Hostname = j.Name + "-" + index
	suffix := "-" + index + "-"
	p.GenerateName = j.Name[:min(len(j.Name), maxPrefix-len(suffix))] + suffix
	if j.Spec.BackoffLimitPerIndex != nil {
		set(&p.Annotations, batchv1.JobIndexFailureCountAnnotation, strconv.Itoa(int(b.Failures)))
		if b.Ignored > 0 {
			set(&p.Annotations, batchv1.JobIndexIgnoredFailureCountAnnotation, strconv.Itoa(int(b.Ignored)))
		}
	}
}
