package core

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

// mustBePositive is the message of amounts and numbers that are not.
const mustBePositive = "must be greater than zero"

// invalid returns one Invalid error for every message.
func invalid[T any](fldPath *field.Path, value T, msgs []string) field.ErrorList {
	var errs field.ErrorList
	for _, m := range msgs {
		errs = append(errs, field.Invalid(fldPath, value, m))
	}
	return errs
}

// named returns Required for an empty value, else the errors that valid returns.
func named(fldPath *field.Path, value string, valid func(string) []string) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(fldPath, "")}
	}
	if valid == nil {
		return nil
	}
	return invalid(fldPath, value, valid(value))
}

// required returns Required for an empty value.
func required(fldPath *field.Path, value string) field.ErrorList { return named(fldPath, value, nil) }

func isSubdomain(v string) []string { return validation.IsDNS1123Subdomain(v) }

// oneOf returns NotSupported for a value that is not among allowed. The error
// lists allowed in the order given, mostly sorted, as upstream does.
func oneOf[T ~string](fldPath *field.Path, value T, allowed ...T) field.ErrorList {
	if slices.Contains(allowed, value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(fldPath, value, allowed)}
}

// requiredOneOf returns Required for an empty value, else what oneOf returns.
func requiredOneOf[T ~string](fldPath *field.Path, value T, allowed ...T) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(fldPath, "")}
	}
	return oneOf(fldPath, value, allowed...)
}

// optionalOneOf is oneOf of a value that may be left out.
func optionalOneOf[T ~string](fldPath *field.Path, value *T, allowed ...T) field.ErrorList {
	if value == nil {
		return nil
	}
	return oneOf(fldPath, *value, allowed...)
}

func nonnegative[T ~int32 | ~int64 | ~int](fldPath *field.Path, value T) field.ErrorList {
	return apivalidation.ValidateNonnegativeField(int64(value), fldPath)
}

func userID(fldPath *field.Path, id *int64) field.ErrorList {
	if id == nil {
		return nil
	}
	return invalid(fldPath, *id, validation.IsValidUserID(*id))
}

func groupID(fldPath *field.Path, id *int64) field.ErrorList {
	if id == nil {
		return nil
	}
	return invalid(fldPath, *id, validation.IsValidGroupID(*id))
}

func portNumberOrName(fldPath *field.Path, p intstr.IntOrString) field.ErrorList {
	switch p.Type {
	case intstr.Int:
		return invalid(fldPath, p.IntValue(), validation.IsValidPortNum(p.IntValue()))
	case intstr.String:
		return invalid(fldPath, p.StrVal, validation.IsValidPortName(p.StrVal))
	}
	return field.ErrorList{field.InternalError(fldPath, fmt.Errorf("unknown type: %v", p.Type))}
}

// labelSelector validates s, which may be nil. With lax, it may have values that
// no label can have.
func labelSelector(fldPath *field.Path, s *metav1.LabelSelector, lax bool) field.ErrorList {
	return metavalidation.ValidateLabelSelector(s, metavalidation.LabelSelectorValidationOptions{AllowInvalidLabelValueInSelector: lax}, fldPath)
}

// onlyFields returns why for every field of the struct v that is set and not
// among allowed, both by their Go names.
func onlyFields(fldPath *field.Path, v any, why string, allowed ...string) field.ErrorList {
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

// relativePath validates that a path stays below where it starts.
func relativePath(fldPath *field.Path, p string) field.ErrorList {
	var errs field.ErrorList
	if strings.HasPrefix(p, "/") {
		errs = append(errs, field.Invalid(fldPath, p, "must be a relative path"))
	}
	return append(errs, noBacksteps(fldPath, p)...)
}

// filePath validates a relative path to a file that the kubelet writes: names
// that start with two dots are its own.
func filePath(fldPath *field.Path, p string) field.ErrorList {
	errs := relativePath(fldPath, p)
	if strings.HasPrefix(p, "..") && !strings.HasPrefix(p, "../") {
		errs = append(errs, field.Invalid(fldPath, p, "must not start with '..'"))
	}
	return errs
}

func noBacksteps(fldPath *field.Path, p string) field.ErrorList {
	if slices.Contains(strings.Split(p, "/"), "..") {
		return field.ErrorList{field.Invalid(fldPath, p, "must not contain '..'")}
	}
	return nil
}

// objectMeta validates the metadata of a new object.
func objectMeta(m *metav1.ObjectMeta, namespaced bool, name apivalidation.ValidateNameFunc) field.ErrorList {
	return apivalidation.ValidateObjectMeta(m, namespaced, name, field.NewPath("metadata"))
}

// objectMetaUpdate validates a change of metadata.
func objectMetaUpdate(m, old *metav1.ObjectMeta) field.ErrorList {
	return apivalidation.ValidateObjectMetaUpdate(m, old, field.NewPath("metadata"))
}

func unchanged(fldPath *field.Path, new, old any) field.ErrorList {
	return apivalidation.ValidateImmutableField(new, old, fldPath)
}

// presence is a field's path and whether the field is set.
type presence struct {
	path *field.Path
	set  bool
}

// given returns whether the field at fldPath is set, for forbid.
func given(fldPath *field.Path, set bool) presence { return presence{fldPath, set} }

// forbid returns Forbidden with why for each field that is set.
func forbid(why string, list ...presence) field.ErrorList {
	var errs field.ErrorList
	for _, f := range list {
		if f.set {
			errs = append(errs, field.Forbidden(f.path, why))
		}
	}
	return errs
}

// aSource is one of the alternatives of a union of sources: its field's name,
// whether it is set, and what is wrong with it.
type aSource struct {
	name     string
	set      bool
	validate func(at *field.Path) field.ErrorList
	// as is upstream's name of the field in errors of its values, another its
	// name in errors of one volume source too many. Both default to name.
	as, another string
	// uncounted sources are validated, and never one too many.
	uncounted bool
}

// exactlyOne validates the one source that is set. The first counts; the others
// are reported as too many.
func exactlyOne(fldPath *field.Path, list []aSource, none, more string) field.ErrorList {
	var errs field.ErrorList
	or := func(name, otherwise string) *field.Path {
		if name == "" {
			name = otherwise
		}
		return fldPath.Child(name)
	}
	n := 0
	for _, s := range list {
		if !s.set {
			continue
		}
		if n++; n > 1 && !s.uncounted {
			errs = append(errs, field.Forbidden(or(s.another, s.name), more))
			continue
		}
		errs = append(errs, s.validate(or(s.as, s.name))...)
	}
	if n == 0 {
		errs = append(errs, field.Required(fldPath, none))
	}
	return errs
}

func positive[T ~int32 | ~int64](fldPath *field.Path, v T) field.ErrorList {
	if v > 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(fldPath, int64(v), mustBePositive)}
}
