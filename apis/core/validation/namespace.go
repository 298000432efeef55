package validation

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// ValidateNamespace validates a new Namespace.
func ValidateNamespace(ns *corev1.Namespace) field.ErrorList {
	errs := check.ObjectMeta(&ns.ObjectMeta, false, apivalidation.NameIsDNSLabel)
	for _, f := range ns.Spec.Finalizers {
		errs = append(errs, namespaceFinalizer(field.NewPath("spec", "finalizers"), string(f))...)
	}
	return errs
}

func namespaceFinalizer(fldPath *field.Path, f string) field.ErrorList {
	return append(apivalidation.ValidateFinalizerName(f, fldPath), StandardFinalizer(fldPath, f)...)
}

// StandardFinalizer validates what all built-in kinds ask of a finalizer: that it
// has a domain or is one of Kubernetes' own.
func StandardFinalizer(fldPath *field.Path, f string) field.ErrorList {
	switch {
	case strings.Contains(f, "/"), f == string(corev1.FinalizerKubernetes), f == metav1.FinalizerOrphanDependents, f == metav1.FinalizerDeleteDependents:
		return nil
	}
	return field.ErrorList{field.Invalid(fldPath, f, "name is neither a standard finalizer name nor is it fully qualified")}
}

// ValidateNamespaceUpdate validates an update of a Namespace's metadata.
func ValidateNamespaceUpdate(ns, old *corev1.Namespace) field.ErrorList {
	return append(ValidateNamespace(ns), check.ObjectMetaUpdate(&ns.ObjectMeta, &old.ObjectMeta)...)
}

// ValidateNamespaceStatusUpdate validates the subresource status: the phase
// reports whether the namespace is being deleted.
func ValidateNamespaceStatusUpdate(ns, old *corev1.Namespace) field.ErrorList {
	errs := check.ObjectMetaUpdate(&ns.ObjectMeta, &old.ObjectMeta)
	at := field.NewPath("status", "Phase")
	switch {
	case ns.DeletionTimestamp.IsZero() && ns.Status.Phase != corev1.NamespaceActive:
		errs = append(errs, field.Invalid(at, ns.Status.Phase, "may only be 'Active' if `deletionTimestamp` is empty"))
	case !ns.DeletionTimestamp.IsZero() && ns.Status.Phase != corev1.NamespaceTerminating:
		errs = append(errs, field.Invalid(at, ns.Status.Phase, "may only be 'Terminating' if `deletionTimestamp` is not empty"))
	}
	return errs
}

// ValidateNamespaceFinalizeUpdate validates the subresource finalize.
func ValidateNamespaceFinalizeUpdate(ns, old *corev1.Namespace) field.ErrorList {
	errs := check.ObjectMetaUpdate(&ns.ObjectMeta, &old.ObjectMeta)
	for i, f := range ns.Spec.Finalizers {
		errs = append(errs, namespaceFinalizer(field.NewPath("spec", "finalizers").Index(i), string(f))...)
	}
	return errs
}
