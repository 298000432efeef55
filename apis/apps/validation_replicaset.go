package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// ValidateReplicaSet validates a new ReplicaSet.
func ValidateReplicaSet(rs *appsv1.ReplicaSet) field.ErrorList {
	return append(validateMeta(&rs.ObjectMeta), validateReplicaSetSpec(&rs.Spec, nil)...)
}

// ValidateReplicaSetUpdate validates a changed ReplicaSet; its selector never changes.
func ValidateReplicaSetUpdate(rs, old *appsv1.ReplicaSet) field.ErrorList {
	errs := validateMetaUpdate(&rs.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, validateReplicaSetSpec(&rs.Spec, &old.Spec)...)
	return append(errs, validation.ValidateImmutableField(rs.Spec.Selector, old.Spec.Selector, specPath.Child("selector"))...)
}

func validateReplicaSetSpec(spec, old *appsv1.ReplicaSetSpec) field.ErrorList {
	var template *corev1.PodTemplateSpec
	if old != nil {
		template = &old.Template
	}
	errs := check.Nonnegative(specPath.Child("replicas"), ptr.Deref(spec.Replicas, 1))
	errs = append(errs, check.Nonnegative(specPath.Child("minReadySeconds"), spec.MinReadySeconds)...)
	// The kind is upstream's word.
	return append(errs, validateSelected("deployment", spec.Selector, &spec.Template, template)...)
}

// ValidateReplicaSetStatusUpdate validates what the replicaset controller wrote.
func ValidateReplicaSetStatusUpdate(rs, old *appsv1.ReplicaSet) field.ErrorList {
	errs := validateMetaUpdate(&rs.ObjectMeta, &old.ObjectMeta)
	path, s := field.NewPath("status"), &rs.Status
	errs = append(errs, counts{
		{"replicas", s.Replicas}, {"fullyLabeledReplicas", s.FullyLabeledReplicas},
		{"readyReplicas", s.ReadyReplicas}, {"availableReplicas", s.AvailableReplicas},
	}.nonnegative(path)...)
	errs = append(errs, validation.ValidateNonnegativeField(s.ObservedGeneration, path.Child("observedGeneration"))...)
	errs = append(errs, optional(s.TerminatingReplicas, path.Child("terminatingReplicas"))...)
	const total = "status.replicas"
	errs = append(errs, noGreater(s.FullyLabeledReplicas, s.Replicas, path.Child("fullyLabeledReplicas"), total)...)
	errs = append(errs, noGreater(s.ReadyReplicas, s.Replicas, path.Child("readyReplicas"), total)...)
	errs = append(errs, noGreater(s.AvailableReplicas, s.Replicas, path.Child("availableReplicas"), total)...)
	return append(errs, noGreater(s.AvailableReplicas, s.ReadyReplicas, path.Child("availableReplicas"), "readyReplicas")...)
}
