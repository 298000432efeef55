package validation

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/validation/options"
	"github.com/coracle-k8s/coracle/apis/core/validation/pods"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// ValidatePodTemplate validates a new PodTemplate.
func ValidatePodTemplate(t *corev1.PodTemplate) field.ErrorList {
	errs := check.ObjectMeta(&t.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)
	return append(errs, pods.ValidatePodTemplateSpec(&t.Template, field.NewPath("template"), options.Pod{})...)
}

// ValidatePodTemplateUpdate validates an update of a PodTemplate.
func ValidatePodTemplateUpdate(t, old *corev1.PodTemplate) field.ErrorList {
	errs := check.ObjectMetaUpdate(&t.ObjectMeta, &old.ObjectMeta)
	return append(errs, pods.ValidatePodTemplateSpec(&t.Template, field.NewPath("template"), pods.TemplateOptionsFor(&old.Template))...)
}

// ValidateReplicationController validates a new ReplicationController. Faults of
// its name and of its numbers come last: upstream finds them declaratively.
func ValidateReplicationController(rc *corev1.ReplicationController) field.ErrorList {
	anyName := func(string, bool) []string { return nil }
	errs := check.ObjectMeta(&rc.ObjectMeta, true, anyName)
	errs = append(errs, replicationControllerSpec(rc, nil)...)
	if name := rc.Name; name != "" {
		errs = append(errs, check.Invalid(field.NewPath("metadata", "name"), name, content.IsDNS1123Subdomain(name))...)
	}
	return append(errs, replicationControllerNumbers(&rc.Spec)...)
}

// ValidateReplicationControllerUpdate validates an update of a ReplicationController.
func ValidateReplicationControllerUpdate(rc, old *corev1.ReplicationController) field.ErrorList {
	errs := check.ObjectMetaUpdate(&rc.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, replicationControllerSpec(rc, old)...)
	errs = append(errs, nonConvertible(rc, old)...)
	return append(errs, replicationControllerNumbers(&rc.Spec)...)
}

// nonConvertiblePrefix begins annotations that hold fields of another version
// of the object which this one lacks.
const nonConvertiblePrefix = "non-convertible.kubernetes.io"

func nonConvertible(rc, old *corev1.ReplicationController) field.ErrorList {
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(old.Annotations)) {
		_, name, _ := strings.Cut(key, "/")
		switch {
		case !strings.HasPrefix(key, nonConvertiblePrefix) || strings.Count(key, "/") != 1:
		case !strings.Contains(name, "selector"):
			errs = append(errs, &field.Error{Type: field.ErrorTypeNotFound, BadValue: old.Annotations[key], Field: name, Detail: "unknown non-convertible field"})
		case !equality.Semantic.DeepEqual(old.Spec.Selector, rc.Spec.Selector):
			errs = append(errs, field.Invalid(field.NewPath("spec", "selector"), rc.Spec.Selector, "cannot update non-convertible selector"))
		}
	}
	return errs
}

func replicationControllerNumbers(s *corev1.ReplicationControllerSpec) field.ErrorList {
	fldPath := field.NewPath("spec")
	var errs field.ErrorList
	if s.Replicas == nil {
		errs = append(errs, field.Required(fldPath.Child("replicas"), ""))
	} else {
		errs = append(errs, check.Nonnegative(fldPath.Child("replicas"), *s.Replicas)...)
	}
	return append(errs, check.Nonnegative(fldPath.Child("minReadySeconds"), s.MinReadySeconds)...)
}

func replicationControllerSpec(rc, old *corev1.ReplicationController) field.ErrorList {
	fldPath, s := field.NewPath("spec"), &rc.Spec
	var errs field.ErrorList
	if len(s.Selector) == 0 {
		errs = append(errs, field.Required(fldPath.Child("selector"), ""))
	}
	at := fldPath.Child("template")
	if s.Template == nil {
		return append(errs, field.Required(at, ""))
	}
	if selector := labels.Set(s.Selector).AsSelectorPreValidated(); len(s.Selector) > 0 && !selector.Matches(labels.Set(s.Template.Labels)) {
		errs = append(errs, field.Invalid(at.Child("metadata", "labels"), s.Template.Labels, "`selector` does not match template `labels`"))
	}
	var was *corev1.PodTemplateSpec
	if old != nil {
		was = old.Spec.Template
	}
	errs = append(errs, pods.ValidatePodTemplateSpec(s.Template, at, pods.TemplateOptionsFor(was))...)
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
	errs := check.ObjectMetaUpdate(&rc.ObjectMeta, &old.ObjectMeta)
	fldPath, s := field.NewPath("status"), &rc.Status
	errs = append(errs, check.Nonnegative(fldPath.Child("replicas"), s.Replicas)...)
	errs = append(errs, check.Nonnegative(fldPath.Child("fullyLabeledReplicas"), s.FullyLabeledReplicas)...)
	errs = append(errs, check.Nonnegative(fldPath.Child("readyReplicas"), s.ReadyReplicas)...)
	errs = append(errs, check.Nonnegative(fldPath.Child("availableReplicas"), s.AvailableReplicas)...)
	errs = append(errs, check.Nonnegative(fldPath.Child("observedGeneration"), s.ObservedGeneration)...)
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
