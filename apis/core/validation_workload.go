package core

import (
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidatePodTemplate validates a new PodTemplate.
func ValidatePodTemplate(t *corev1.PodTemplate) field.ErrorList {
	errs := objectMeta(&t.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)
	return append(errs, ValidatePodTemplateSpec(&t.Template, field.NewPath("template"), PodOptions{})...)
}

// ValidatePodTemplateUpdate validates an update of a PodTemplate.
func ValidatePodTemplateUpdate(t, old *corev1.PodTemplate) field.ErrorList {
	errs := objectMetaUpdate(&t.ObjectMeta, &old.ObjectMeta)
	return append(errs, ValidatePodTemplateSpec(&t.Template, field.NewPath("template"), PodOptionsFor(&old.Template.Spec))...)
}

// ValidateReplicationController validates a new ReplicationController.
func ValidateReplicationController(rc *corev1.ReplicationController) field.ErrorList {
	errs := objectMeta(&rc.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)
	return append(errs, replicationControllerSpec(rc, nil)...)
}

// ValidateReplicationControllerUpdate validates an update of a ReplicationController.
func ValidateReplicationControllerUpdate(rc, old *corev1.ReplicationController) field.ErrorList {
	return append(objectMetaUpdate(&rc.ObjectMeta, &old.ObjectMeta), replicationControllerSpec(rc, old)...)
}

func replicationControllerSpec(rc, old *corev1.ReplicationController) field.ErrorList {
	fldPath, s := field.NewPath("spec"), &rc.Spec
	errs := nonnegative(fldPath.Child("minReadySeconds"), s.MinReadySeconds)
	if len(s.Selector) == 0 {
		errs = append(errs, field.Required(fldPath.Child("selector"), ""))
	}
	if s.Replicas == nil {
		errs = append(errs, field.Required(fldPath.Child("replicas"), ""))
	} else {
		errs = append(errs, nonnegative(fldPath.Child("replicas"), *s.Replicas)...)
	}
	at := fldPath.Child("template")
	if s.Template == nil {
		return append(errs, field.Required(at, ""))
	}
	if selector := labels.Set(s.Selector).AsSelectorPreValidated(); len(s.Selector) > 0 && !selector.Matches(labels.Set(s.Template.Labels)) {
		errs = append(errs, field.Invalid(at.Child("metadata", "labels"), s.Template.Labels, "`selector` does not match template `labels`"))
	}
	var opts PodOptions
	if old != nil && old.Spec.Template != nil {
		opts = PodOptionsFor(&old.Spec.Template.Spec)
	}
	errs = append(errs, ValidatePodTemplateSpec(s.Template, at, opts)...)
	if s.Template.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		errs = append(errs, field.NotSupported(at.Child("spec", "restartPolicy"), s.Template.Spec.RestartPolicy, []corev1.RestartPolicy{corev1.RestartPolicyAlways}))
	}
	if s.Template.Spec.ActiveDeadlineSeconds != nil {
		errs = append(errs, field.Forbidden(at.Child("spec", "activeDeadlineSeconds"), "activeDeadlineSeconds in ReplicationController is not Supported"))
	}
	return errs
}

// ValidateReplicationControllerStatusUpdate validates the subresource status.
func ValidateReplicationControllerStatusUpdate(rc, old *corev1.ReplicationController) field.ErrorList {
	errs := objectMetaUpdate(&rc.ObjectMeta, &old.ObjectMeta)
	fldPath, s := field.NewPath("status"), &rc.Status
	errs = append(errs, nonnegative(fldPath.Child("replicas"), s.Replicas)...)
	errs = append(errs, nonnegative(fldPath.Child("fullyLabeledReplicas"), s.FullyLabeledReplicas)...)
	errs = append(errs, nonnegative(fldPath.Child("readyReplicas"), s.ReadyReplicas)...)
	errs = append(errs, nonnegative(fldPath.Child("availableReplicas"), s.AvailableReplicas)...)
	errs = append(errs, nonnegative(fldPath.Child("observedGeneration"), s.ObservedGeneration)...)
	for _, c := range []struct {
		name, msg  string
		less, than int32
	}{
		{"fullyLabeledReplicas", "cannot be greater than status.replicas", s.FullyLabeledReplicas, s.Replicas},
		{"readyReplicas", "cannot be greater than status.replicas", s.ReadyReplicas, s.Replicas},
		{"availableReplicas", "cannot be greater than status.replicas", s.AvailableReplicas, s.Replicas},
		{"availableReplicas", "cannot be greater than readyReplicas", s.AvailableReplicas, s.ReadyReplicas},
	} {
		if c.less > c.than {
			errs = append(errs, field.Invalid(fldPath.Child(c.name), c.less, c.msg))
		}
	}
	return errs
}
