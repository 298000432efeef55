package apps

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/validation/pods"
)

// validatePodTemplate validates a workload's template as core/v1 has it; old
// is the stored one, nil for a new object.
func validatePodTemplate(template, old *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	return pods.ValidatePodTemplateSpec(template, path, pods.TemplateOptionsFor(old))
}
