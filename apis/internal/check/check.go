package check

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// MustBePositive is the message of amounts and numbers that are not.
const MustBePositive = "must be greater than zero"

// Invalid returns one Invalid error for every message.
func Invalid[T any](fldPath *field.Path, value T, msgs []string) field.ErrorList {
	var errs field.ErrorList
	for _, m := range msgs {
		errs = append(errs, field.Invalid(fldPath, value, m))
	}
	return errs
}

// Named returns Required for an empty value, else the errors that valid returns.
func Named(fldPath *field.Path, value string, valid func(string) []string) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(fldPath, "")}
	}
	if valid == nil {
		return nil
	}
	return Invalid(fldPath, value, valid(value))
}

// Required returns Required for an empty value.
func Required(fldPath *field.Path, value string) field.ErrorList { return Named(fldPath, value, nil) }

// IsSubdomain returns what is wrong with v as a DNS subdomain of RFC 1123.
func IsSubdomain(v string) []string { return validation.IsDNS1123Subdomain(v) }

// OneOf returns NotSupported for a value that is not among allowed. The error
// lists allowed in the order given, mostly sorted, as upstream does.
func OneOf[T ~string](fldPath *field.Path, value T, allowed ...T) field.ErrorList {
	if slices.Contains(allowed, value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(fldPath, value, allowed)}
}

// RequiredOneOf returns Required for an empty value, else what oneOf returns.
func RequiredOneOf[T ~string](fldPath *field.Path, value T, allowed ...T) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(fldPath, "")}
	}
	return OneOf(fldPath, value, allowed...)
}

// OptionalOneOf returns nil for a value that is left out, else what OneOf returns.
func OptionalOneOf[T ~string](fldPath *field.Path, value *T, allowed ...T) field.ErrorList {
	if value == nil {
		return nil
	}
	return OneOf(fldPath, *value, allowed...)
}

// SetOneOf returns Required for nil, else what OneOf returns.
func SetOneOf[T ~string](fldPath *field.Path, value *T, allowed ...T) field.ErrorList {
	if value == nil {
		return field.ErrorList{field.Required(fldPath, "")}
	}
	return OneOf(fldPath, *value, allowed...)
}

// Nonnegative returns Invalid for a value below zero.
func Nonnegative[T ~int32 | ~int64 | ~int](fldPath *field.Path, value T) field.ErrorList {
	return apivalidation.ValidateNonnegativeField(int64(value), fldPath)
}

// UserID returns Invalid for a number that no user can have; nil is valid.
func UserID(fldPath *field.Path, id *int64) field.ErrorList {
	if id == nil {
		return nil
	}
	return Invalid(fldPath, *id, validation.IsValidUserID(*id))
}

// GroupID returns Invalid for a number that no group can have; nil is valid.
func GroupID(fldPath *field.Path, id *int64) field.ErrorList {
	if id == nil {
		return nil
	}
	return Invalid(fldPath, *id, validation.IsValidGroupID(*id))
}

// PortNumberOrName validates a port by its number or its name.
func PortNumberOrName(fldPath *field.Path, p intstr.IntOrString) field.ErrorList {
	switch p.Type {
	case intstr.Int:
		return Invalid(fldPath, p.IntValue(), validation.IsValidPortNum(p.IntValue()))
	case intstr.String:
		return Invalid(fldPath, p.StrVal, validation.IsValidPortName(p.StrVal))
	}
	return field.ErrorList{field.InternalError(fldPath, fmt.Errorf("unknown type: %v", p.Type))}
}

// LabelSelector validates s, which may be nil. With lax, it may have values that
// no label can have.
func LabelSelector(fldPath *field.Path, s *metav1.LabelSelector, lax bool) field.ErrorList {
	return metavalidation.ValidateLabelSelector(s, metavalidation.LabelSelectorValidationOptions{AllowInvalidLabelValueInSelector: lax}, fldPath)
}

// OnlyFields returns why for every field of the struct v that is set and not
// among allowed, both by their Go names.
func OnlyFields(fldPath *field.Path, v any, why string, allowed ...string) field.ErrorList {
	var errs field.ErrorList
	value := reflect.ValueOf(v)
	for i := range value.NumField() {
		name := value.Type().Field(i).Name
		if !slices.Contains(allowed, name) && !value.Field(i).IsZero() {
			errs = append(errs, field.Forbidden(fldPath.Child(strings.ToLower(name[:1])+name[1:]), why))
		}
	}
	return errs
}

// RelativePath validates that a path stays below where it starts.
func RelativePath(fldPath *field.Path, p string) field.ErrorList {
	var errs field.ErrorList
	if strings.HasPrefix(p, "/") {
		errs = append(errs, field.Invalid(fldPath, p, "must be a relative path"))
	}
	return append(errs, NoBacksteps(fldPath, p)...)
}

// FilePath validates a relative path to a file that the kubelet writes: names
// that start with two dots are its own.
func FilePath(fldPath *field.Path, p string) field.ErrorList {
	errs := RelativePath(fldPath, p)
	if strings.HasPrefix(p, "..") && !strings.HasPrefix(p, "../") {
		errs = append(errs, field.Invalid(fldPath, p, "must not start with '..'"))
	}
	return errs
}

// NoBacksteps validates that a path has no element "..".
func NoBacksteps(fldPath *field.Path, p string) field.ErrorList {
	if slices.Contains(strings.Split(p, "/"), "..") {
		return field.ErrorList{field.Invalid(fldPath, p, "must not contain '..'")}
	}
	return nil
}

// ObjectMeta validates the metadata of a new object.
func ObjectMeta(m *metav1.ObjectMeta, namespaced bool, name apivalidation.ValidateNameFunc) field.ErrorList {
	return apivalidation.ValidateObjectMeta(m, namespaced, name, field.NewPath("metadata"))
}

// ObjectMetaUpdate validates a change of metadata.
func ObjectMetaUpdate(m, old *metav1.ObjectMeta) field.ErrorList {
	return apivalidation.ValidateObjectMetaUpdate(m, old, field.NewPath("metadata"))
}

// Unchanged returns Invalid if an immutable field has another value than before.
func Unchanged(fldPath *field.Path, new, old any) field.ErrorList {
	return apivalidation.ValidateImmutableField(new, old, fldPath)
}

// Presence is a field's path and whether the field is set.
type Presence struct {
	path *field.Path
	set  bool
}

// Given returns whether the field at fldPath is set, for Forbid.
func Given(fldPath *field.Path, set bool) Presence { return Presence{fldPath, set} }

// Forbid returns Forbidden with why for each field that is set.
func Forbid(why string, list ...Presence) field.ErrorList {
	var errs field.ErrorList
	for _, f := range list {
		if f.set {
			errs = append(errs, field.Forbidden(f.path, why))
		}
	}
	return errs
}

// Source is one of the alternatives of a union of sources: its field's name,
// whether it is set, and what is wrong with it.
type Source struct {
	Name     string
	Set      bool
	Validate func(at *field.Path) field.ErrorList
	// As is upstream's name of the field in errors of its values, Another its
	// name in errors of one source too many. Both default to Name.
	As, Another string
	// Uncounted sources are validated, and never one too many.
	Uncounted bool
}

// ExactlyOne validates the one source that is set. The first counts; the others
// are reported as too many.
func ExactlyOne(fldPath *field.Path, list []Source, none, more string) field.ErrorList {
	var errs field.ErrorList
	or := func(name, otherwise string) *field.Path {
		if name == "" {
			name = otherwise
		}
		return fldPath.Child(name)
	}
	n := 0
	for _, s := range list {
		if !s.Set {
			continue
		}
		if n++; n > 1 && !s.Uncounted {
			errs = append(errs, field.Forbidden(or(s.Another, s.Name), more))
			continue
		}
		errs = append(errs, s.Validate(or(s.As, s.Name))...)
	}
	if n == 0 {
		errs = append(errs, field.Required(fldPath, none))
	}
	return errs
}

// Positive returns Invalid for a value that is not above zero.
func Positive[T ~int32 | ~int64](fldPath *field.Path, v T) field.ErrorList {
	if v > 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(fldPath, int64(v), MustBePositive)}
}
