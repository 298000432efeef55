package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// ValidateReplicaSet validates a new ReplicaSet.
func ValidateReplicaSet(rs *appsv1.ReplicaSet) field.ErrorList {
	return append(validateMeta(&rs.ObjectMeta), validateReplicaSetSpec(&rs.Spec, selectorOptions(nil))...)
}

// ValidateReplicaSetUpdate validates a changed ReplicaSet; its selector never changes.
func ValidateReplicaSetUpdate(rs, old *appsv1.ReplicaSet) field.ErrorList {
	errs := validateMetaUpdate(&rs.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, validateReplicaSetSpec(&rs.Spec, selectorOptions(old.Spec.Selector))...)
	return append(errs, validation.ValidateImmutableField(rs.Spec.Selector, old.Spec.Selector, specPath.Child("selector"))...)
}

func validateReplicaSetSpec(spec *appsv1.ReplicaSetSpec, opts metav1validation.LabelSelectorValidationOptions) field.ErrorList {
	replicas := ptr.Deref(spec.Replicas, 1)
	errs := nonnegative(replicas, specPath.Child("replicas"))
	errs = append(errs, nonnegative(spec.MinReadySeconds, specPath.Child("minReadySeconds"))...)
	// Upstream says "deployment" here too.
	errs = append(errs, validateSelector("deployment", spec.Selector, &spec.Template, opts, specPath)...)
	return append(errs, validateTemplate("ReplicaSet", &spec.Template, replicas, specPath.Child("template"))...)
}

// ValidateReplicaSetStatusUpdate validates what the replicaset controller wrote.
func ValidateReplicaSetStatusUpdate(rs, old *appsv1.ReplicaSet) field.ErrorList {
	errs := validateMetaUpdate(&rs.ObjectMeta, &old.ObjectMeta)
	path, s := field.NewPath("status"), &rs.Status
	errs = append(errs, counts{
		{"replicas", s.Replicas}, {"fullyLabeledReplicas", s.FullyLabeledReplicas},
		{"readyReplicas", s.ReadyReplicas}, {"availableReplicas", s.AvailableReplicas},
	}.nonnegative(path)...)
	if n := s.TerminatingReplicas; n != nil {
		errs = append(errs, nonnegative(*n, path.Child("terminatingReplicas"))...)
	}
	errs = append(errs, validation.ValidateNonnegativeField(s.ObservedGeneration, path.Child("observedGeneration"))...)
	const total = "status.replicas"
	errs = append(errs, noGreater(s.FullyLabeledReplicas, s.Replicas, path.Child("fullyLabeledReplicas"), total)...)
	errs = append(errs, noGreater(s.ReadyReplicas, s.Replicas, path.Child("readyReplicas"), total)...)
	errs = append(errs, noGreater(s.AvailableReplicas, s.Replicas, path.Child("availableReplicas"), total)...)
	return append(errs, noGreater(s.AvailableReplicas, s.ReadyReplicas, path.Child("availableReplicas"), "readyReplicas")...)
}
