package apps

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func setTemplateDefaults(*corev1.PodTemplateSpec)    {}
func setClaimDefaults(*corev1.PersistentVolumeClaim) {}

func validatePodTemplate(*corev1.PodTemplateSpec, *field.Path) field.ErrorList { return nil }
