package resource

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/internal/check"
)

var (
	metaPath = field.NewPath("metadata")
	specPath = field.NewPath("spec")
)

// each validates the items of a list that may have max of them; -1 is no bound.
func each[T any](items []T, max int, path *field.Path, validate func(*T, *field.Path) field.ErrorList) field.ErrorList {
	if max >= 0 && len(items) > max {
		return field.ErrorList{field.TooMany(path, len(items), max)}
	}
	var errs field.ErrorList
	for i := range items {
		errs = append(errs, validate(&items[i], path.Index(i))...)
	}
	return errs
}

// upTo is each for lists whose bound is declared: of longer ones it validates nothing.
func upTo[T any](items []T, max int, path *field.Path, validate func(*T, *field.Path) field.ErrorList) field.ErrorList {
	if len(items) > max {
		return nil
	}
	return each(items, -1, path, validate)
}

// set is each for lists whose items differ in key.
func set[T any, K comparable](items []T, max int, path *field.Path, key func(*T) K, validate func(*T, *field.Path) field.ErrorList) field.ErrorList {
	if max >= 0 && len(items) > max {
		return field.ErrorList{field.TooMany(path, len(items), max)}
	}
	errs := each(items, -1, path, validate)
	seen := map[K]bool{}
	for i := range items {
		k := key(&items[i])
		if seen[k] {
			errs = append(errs, field.Duplicate(path.Index(i), k))
		}
		seen[k] = true
	}
	return errs
}

func label(name string, path *field.Path) field.ErrorList {
	return check.Invalid(path, name, utilvalidation.IsDNS1123Label(name))
}

// validateDriver validates the name of a driver, by the rules of CSI drivers' names.
func validateDriver(name string, path *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	var errs field.ErrorList
	if len(name) > resourcev1.DriverNameMaxLength {
		errs = append(errs, field.TooLong(path, "", resourcev1.DriverNameMaxLength))
	}
	return append(errs, check.Invalid(path, name, utilvalidation.IsDNS1123Subdomain(strings.ToLower(name)))...)
}

func validatePool(name string, path *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	var errs field.ErrorList
	if len(name) > resourcev1.PoolNameMaxLength {
		errs = append(errs, field.TooLong(path, "", resourcev1.PoolNameMaxLength))
	}
	for _, part := range strings.Split(name, "/") {
		errs = append(errs, check.Invalid(path, part, utilvalidation.IsDNS1123Subdomain(part))...)
	}
	return errs
}

// validateName validates the name of an attribute or capacity, with or without a
// domain before a slash. Like upstream, it accepts names with more slashes.
func validateName(name string, path *field.Path) field.ErrorList {
	domain, id, qualified := strings.Cut(name, "/")
	switch {
	case !qualified:
		return validateID(name, path)
	case strings.Contains(id, "/"):
		return nil
	}
	var errs field.ErrorList
	if domain == "" {
		errs = append(errs, field.Invalid(path, "", "the domain must not be empty"))
	} else {
		errs = append(errs, validateDriver(domain, path)...)
	}
	if id == "" {
		return append(errs, field.Invalid(path, "", "the name must not be empty"))
	}
	return append(errs, validateID(id, path)...)
}

func validateID(id string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(id) > resourcev1.DeviceMaxIDLength {
		errs = append(errs, field.TooLong(path, "", resourcev1.DeviceMaxIDLength))
	}
	return append(errs, check.Invalid(path, id, content.IsCIdentifier(id))...)
}

// validateJSON wants an object of at most max bytes; stored ones may be longer.
func validateJSON(raw runtime.RawExtension, max int, stored bool, path *field.Path) field.ErrorList {
	const omitted = "<value omitted>"
	if len(raw.Raw) == 0 {
		return field.ErrorList{field.Required(path, "")}
	}
	if !stored && len(raw.Raw) > max {
		return field.ErrorList{field.TooLong(path, "", max)}
	}
	var v any
	if err := json.Unmarshal(raw.Raw, &v); err != nil {
		return field.ErrorList{field.Invalid(path, omitted, fmt.Sprintf("error parsing data as JSON: %v", err))}
	}
	switch v.(type) {
	case nil:
		return field.ErrorList{field.Required(path, "")}
	case map[string]any:
		return nil
	}
	return field.ErrorList{field.Invalid(path, omitted, "must be a valid JSON object")}
}

func validateConfiguration(c resourcev1.DeviceConfiguration, stored bool, path *field.Path) field.ErrorList {
	path = path.Child("opaque")
	if c.Opaque == nil {
		return field.ErrorList{field.Required(path, "")}
	}
	return validateJSON(c.Opaque.Parameters, resourcev1.OpaqueParametersMaxLength, stored, path.Child("parameters"))
}

func validateTaint(t *resourcev1.DeviceTaint, path *field.Path) field.ErrorList {
	errs := metav1validation.ValidateLabelName(t.Key, path.Child("key"))
	if t.Value != "" {
		errs = append(errs, check.Invalid(path.Child("value"), t.Value, utilvalidation.IsValidLabelValue(t.Value))...)
	}
	return errs
}

func validateToleration(t *resourcev1.DeviceToleration, path *field.Path) field.ErrorList {
	switch path = path.Child("value"); {
	case t.Operator == resourcev1.DeviceTolerationOpExists && t.Value != "":
		return field.ErrorList{field.Invalid(path, t.Value, "must be empty for operator `Exists`")}
	case t.Operator == resourcev1.DeviceTolerationOpEqual:
		return check.Invalid(path, t.Value, utilvalidation.IsValidLabelValue(t.Value))
	}
	return nil
}

// validateBinding validates the conditions under which a device is bound to a
// claim or fails to be.
func validateBinding(conditions, failures []string, path *field.Path) field.ErrorList {
	good, bad := path.Child("bindingConditions"), path.Child("bindingFailureConditions")
	name := func(s *string, at *field.Path) field.ErrorList { return metav1validation.ValidateLabelName(*s, at) }
	errs := upTo(conditions, resourcev1.BindingConditionsMaxSize, good, name)
	errs = append(errs, upTo(failures, resourcev1.BindingFailureConditionsMaxSize, bad, name)...)
	for i, c := range conditions {
		if slices.Contains(conditions[:i], c) {
			errs = append(errs, field.Duplicate(good.Index(i), c))
		}
	}
	for i, f := range failures {
		if slices.Contains(failures[:i], f) {
			errs = append(errs, field.Duplicate(bad.Index(i), f))
		}
		if slices.Contains(conditions, f) {
			errs = append(errs, field.Invalid(bad.Index(i), f, "bindingFailureConditions must not overlap with bindingConditions"))
		}
	}
	if len(conditions) == 0 && len(failures) > 0 {
		errs = append(errs, field.Invalid(good, conditions, "bindingConditions are required to use bindingFailureConditions"))
	}
	if len(failures) == 0 && len(conditions) > 0 {
		errs = append(errs, field.Invalid(bad, failures, "bindingFailureConditions are required to use bindingConditions"))
	}
	return errs
}
