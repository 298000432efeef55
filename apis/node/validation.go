package node

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/validation/resources"
	"github.com/coracle-k8s/coracle/apis/core/validation/scheduling"
	corewarnings "github.com/coracle-k8s/coracle/apis/core/warnings"
	"github.com/coracle-k8s/coracle/apis/hub"
)

// ValidateRuntimeClass validates a new RuntimeClass.
func ValidateRuntimeClass(c *nodev1.RuntimeClass) field.ErrorList {
	return append(validateRuntimeClass(c), validateHandler(c.Handler)...)
}

// validateHandler uses the declarative rules' words, as upstream: format=k8s-short-name.
func validateHandler(handler string) field.ErrorList {
	at := field.NewPath("handler")
	if handler == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	var errs field.ErrorList
	for _, msg := range content.IsDNS1123Label(handler) {
		errs = append(errs, field.Invalid(at, handler, msg))
	}
	return errs
}

func validateRuntimeClass(c *nodev1.RuntimeClass) field.ErrorList {
	errs := validation.ValidateObjectMeta(&c.ObjectMeta, false, validation.NameIsDNSSubdomain, field.NewPath("metadata"))
	if o := c.Overhead; o != nil {
		errs = append(errs, resources.Requirements(field.NewPath("overhead"), &corev1.ResourceRequirements{Limits: o.PodFixed}, resources.ContainerName, nil, false)...)
	}
	if s := c.Scheduling; s != nil {
		errs = append(errs, validateScheduling(s, field.NewPath("scheduling"))...)
	}
	return errs
}

func validateScheduling(s *nodev1.Scheduling, path *field.Path) field.ErrorList {
	errs := metav1validation.ValidateLabels(s.NodeSelector, path.Child("nodeSelector"))
	at := path.Child("tolerations")
	errs = append(errs, scheduling.Tolerations(at, s.Tolerations)...)
	seen := map[corev1.Toleration]bool{}
	for i, t := range s.Tolerations {
		key := corev1.Toleration{Key: t.Key, Operator: t.Operator, Value: t.Value, Effect: t.Effect}
		if seen[key] {
			errs = append(errs, field.Duplicate(at.Index(i), hub.Internal(t)))
		}
		seen[key] = true
	}
	return errs
}

// ValidateRuntimeClassUpdate validates a changed RuntimeClass: it keeps its
// handler.
func ValidateRuntimeClassUpdate(c, old *nodev1.RuntimeClass) field.ErrorList {
	errs := append(validateRuntimeClass(c), validation.ValidateObjectMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))...)
	if c.Handler != old.Handler {
		errs = append(errs, field.Invalid(field.NewPath("handler"), nil, validation.FieldImmutableErrorMsg))
	}
	return append(errs, validateHandler(c.Handler)...)
}

// RuntimeClassWarnings returns a warning for each deprecated node label.
func RuntimeClassWarnings(c *nodev1.RuntimeClass) []string {
	if c.Scheduling == nil {
		return nil
	}
	var warnings []string
	for _, key := range slices.Sorted(maps.Keys(c.Scheduling.NodeSelector)) {
		if msg := corewarnings.DeprecatedNodeLabel(key); msg != "" {
			warnings = append(warnings, field.NewPath("scheduling", "nodeSelector").String()+": "+msg)
		}
	}
	return warnings
}
