package resource

import (
	"fmt"
	"math"
	"strconv"

	resourcev1 "k8s.io/api/resource/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxOptions is how many values a policy may list.
const maxOptions = 10

func validateCapacity(c *resourcev1.DeviceCapacity, shared bool, path *field.Path) field.ErrorList {
	policy, path := c.RequestPolicy, path.Child("requestPolicy")
	switch {
	case policy == nil:
		return nil
	case !shared:
		return field.ErrorList{field.Forbidden(path, "allowMultipleAllocations must be true")}
	case len(policy.ValidValues) > 0 && policy.ValidRange != nil:
		return field.ErrorList{field.Forbidden(path, `exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time`)}
	case len(policy.ValidValues) > 0:
		if policy.Default == nil {
			return field.ErrorList{field.Required(path.Child("default"), "required when validValues is defined")}
		}
		return validateValues(*policy.Default, c.Value, policy.ValidValues, path.Child("validValues"))
	case policy.ValidRange != nil:
		if policy.Default == nil {
			return field.ErrorList{field.Required(path.Child("default"), "required when validRange is defined")}
		}
		return validateRange(*policy.Default, c.Value, policy.ValidRange, path.Child("validRange"))
	}
	return nil
}

func validateValues(standard, whole apiresource.Quantity, values []apiresource.Quantity, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := 1; i < len(values); i++ {
		if values[i-1].Cmp(values[i]) > 0 {
			errs = append(errs, field.Invalid(path.Index(i), values[i].String(), "values must be sorted in ascending order"))
		}
	}
	found := false
	errs = append(errs, set(values, maxOptions, path,
		func(q *apiresource.Quantity) string { return strconv.FormatInt(q.Value(), 10) },
		func(q *apiresource.Quantity, at *field.Path) field.ErrorList {
			found = found || q.Cmp(standard) == 0
			if q.Cmp(whole) > 0 {
				return field.ErrorList{field.Invalid(at, q.String(), fmt.Sprintf("option is larger than capacity value: %s", whole.String()))}
			}
			return nil
		})...)
	if !found {
		errs = append(errs, field.Invalid(path, standard.String(), "default value is not valid according to the requestPolicy"))
	}
	return errs
}

// above reports a quantity that is larger than another.
func above(q, than apiresource.Quantity, at *field.Path, value apiresource.Quantity, message string) field.ErrorList {
	if q.Cmp(than) <= 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(at, value.String(), fmt.Sprintf("%s: %s", message, than.String()))}
}

func validateRange(standard, whole apiresource.Quantity, r *resourcev1.CapacityRequestPolicyRange, path *field.Path) field.ErrorList {
	if r.Min == nil {
		return field.ErrorList{field.Required(path.Child("min"), "required when validRange is defined")}
	}
	errs := above(*r.Min, whole, path.Child("min"), *r.Min, "min is larger than capacity value")
	if standard.Cmp(*r.Min) < 0 {
		errs = append(errs, field.Invalid(path.Child("default"), standard.String(), fmt.Sprintf("default is less than min: %s", r.Min.String())))
	}
	if r.Max != nil {
		errs = append(errs, above(*r.Min, *r.Max, path.Child("max"), *r.Min, "min is larger than max")...)
		errs = append(errs, above(*r.Max, whole, path.Child("max"), *r.Max, "max is larger than capacity value")...)
		errs = append(errs, above(standard, *r.Max, path.Child("default"), standard, "default is more than max")...)
	}
	if r.Step == nil {
		return errs
	}
	at := path.Child("step")
	if r.Step.Sign() <= 0 {
		return append(errs, field.Invalid(at, r.Step.String(), "must be greater than zero"))
	}
	first := r.Min.DeepCopy()
	first.Add(*r.Step)
	if first.Cmp(whole) > 0 {
		errs = append(errs, field.Invalid(at, r.Step.String(), fmt.Sprintf("one step %s is larger than capacity value: %s", first.String(), whole.String())))
	}
	quantities := rangeValues{{"default", &standard}, {"min", r.Min}, {"max", r.Max}, {"step", r.Step}}
	if unsafe := quantities.int64s(path); len(unsafe) > 0 {
		return append(errs, unsafe...)
	}
	for _, q := range []*apiresource.Quantity{&standard, r.Max} {
		if q != nil && !steps(*q, *r.Min, *r.Step) {
			errs = append(errs, field.Invalid(at, q.String(), fmt.Sprintf("value is not a multiple of a given step (%s) from (%s)", r.Step.String(), r.Min.String())))
		}
	}
	return errs
}

// rangeValues are the quantities of a range by the names of their fields.
type rangeValues []struct {
	name  string
	value *apiresource.Quantity
}

// int64s refuses values that are negative or too large to calculate with.
func (v rangeValues) int64s(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, q := range v {
		switch {
		case q.value == nil:
		case q.value.Sign() < 0:
			errs = append(errs, field.Invalid(path.Child(q.name), q.value.String(), validation.IsNegativeErrorMsg))
		case q.value.CmpInt64(math.MaxInt64) > 0:
			errs = append(errs, field.Invalid(path.Child(q.name), q.value.String(), "must not be larger than 9223372036854775807"))
		}
	}
	return errs
}

// steps reports whether value is min plus a number of steps. Fractions are
// rounded up, as the gate for ranges of fractions is off in v1.37.
func steps(value, min, step apiresource.Quantity) bool {
	return (value.Value()-min.Value())%step.Value() == 0
}
