package validation

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/validation/resources"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// ValidateLimitRange validates a LimitRange, new or changed.
func ValidateLimitRange(lr *corev1.LimitRange) field.ErrorList {
	errs := check.ObjectMeta(&lr.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)
	seen := map[corev1.LimitType]bool{}
	for i := range lr.Spec.Limits {
		l, at := &lr.Spec.Limits[i], field.NewPath("spec", "limits").Index(i)
		errs = append(errs, limitType(at.Child("type"), l.Type)...)
		if seen[l.Type] {
			errs = append(errs, field.Duplicate(at.Child("type"), l.Type))
		}
		seen[l.Type] = true
		errs = append(errs, limits(at, l)...)
	}
	return errs
}

// ValidateLimitRangeUpdate validates an update of a LimitRange, which may change freely.
func ValidateLimitRangeUpdate(lr, _ *corev1.LimitRange) field.ErrorList {
	return ValidateLimitRange(lr)
}

func limitType(fldPath *field.Path, t corev1.LimitType) field.ErrorList {
	if msgs := validation.IsQualifiedName(string(t)); len(msgs) > 0 {
		return check.Invalid(fldPath, t, msgs)
	}
	switch t {
	case corev1.LimitTypePod, corev1.LimitTypeContainer, corev1.LimitTypePersistentVolumeClaim:
		return nil
	}
	if !strings.Contains(string(t), "/") { // a qualified type is enforced by other components
		return field.ErrorList{field.Invalid(fldPath, t, "must be a standard limit type or fully qualified")}
	}
	return nil
}

// limits validates the limits of one type: minimum ≤ default request ≤ default
// ≤ maximum, for every resource that has them. A pod has no defaults.
func limits(fldPath *field.Path, l *corev1.LimitRangeItem) field.ErrorList {
	var errs field.ErrorList
	all := map[corev1.ResourceName]bool{}
	note := func(name string, list corev1.ResourceList) {
		for _, r := range resources.Names(list) {
			errs = append(errs, limitResource(fldPath.Child(name).Key(string(r)), l.Type, r)...)
			all[r] = true
		}
	}
	note("max", l.Max)
	note("min", l.Min)
	bounds := *l
	if l.Type == corev1.LimitTypePod {
		errs = append(errs, check.Forbid("may not be specified when `type` is 'Pod'",
			check.Given(fldPath.Child("default"), len(l.Default) > 0), check.Given(fldPath.Child("defaultRequest"), len(l.DefaultRequest) > 0))...)
		bounds.Default, bounds.DefaultRequest = nil, nil
	} else {
		note("default", l.Default)
		note("defaultRequest", l.DefaultRequest)
	}
	_, least := l.Min[corev1.ResourceStorage]
	_, most := l.Max[corev1.ResourceStorage]
	if l.Type == corev1.LimitTypePersistentVolumeClaim && !least && !most {
		errs = append(errs, field.Required(fldPath.Child("limits"), "either minimum or maximum storage value is required, but neither was provided"))
	}
	note("maxLimitRequestRatio", l.MaxLimitRequestRatio)
	for _, r := range slices.Sorted(maps.Keys(all)) {
		errs = append(errs, limitOrder(fldPath, &bounds, r)...)
	}
	return errs
}

func limitResource(fldPath *field.Path, t corev1.LimitType, name corev1.ResourceName) field.ErrorList {
	if t == corev1.LimitTypePod || t == corev1.LimitTypeContainer {
		return resources.ContainerName(fldPath, name)
	}
	return resources.Name(fldPath, name)
}

func limitOrder(fldPath *field.Path, l *corev1.LimitRangeItem, r corev1.ResourceName) field.ErrorList {
	var errs field.ErrorList
	type bound struct {
		words string
		list  corev1.ResourceList
	}
	min, max, request := bound{"min", l.Min}, bound{"max", l.Max}, bound{"default request", l.DefaultRequest}
	for _, c := range []struct {
		field     string
		value     corev1.ResourceList // whose amount the error shows
		low, high bound
	}{
		{"min", l.Min, min, max}, {"defaultRequest", l.DefaultRequest, min, request}, {"defaultRequest", l.DefaultRequest, request, max},
		{"defaultRequest", l.DefaultRequest, request, bound{"default limit", l.Default}},
		{"default", l.Min, min, bound{"default", l.Default}}, {"default", l.Max, bound{"default", l.Default}, max},
	} {
		low, ok := c.low.list[r]
		high, ok2 := c.high.list[r]
		if ok && ok2 && low.Cmp(high) > 0 {
			errs = append(errs, field.Invalid(fldPath.Child(c.field).Key(string(r)), c.value[r],
				fmt.Sprintf("%s value %s is greater than %s value %s", c.low.words, low.String(), c.high.words, high.String())))
		}
	}
	if ratio, ok := l.MaxLimitRequestRatio[r]; ok {
		errs = append(errs, limitRatio(fldPath.Child("maxLimitRequestRatio").Key(string(r)), ratio, l, r)...)
	}
	d, ok := l.Default[r]
	q, ok2 := l.DefaultRequest[r]
	if ok && ok2 && !resources.MayOvercommit(r) && d.Cmp(q) != 0 {
		errs = append(errs, field.Invalid(fldPath.Child("defaultRequest").Key(string(r)), q,
			fmt.Sprintf("default value %s must equal to defaultRequest value %s in %s", d.String(), q.String(), r)))
	}
	return errs
}

func limitRatio(fldPath *field.Path, ratio resource.Quantity, l *corev1.LimitRangeItem, r corev1.ResourceName) field.ErrorList {
	var errs field.ErrorList
	if ratio.Cmp(*resource.NewQuantity(1, resource.DecimalSI)) < 0 {
		errs = append(errs, field.Invalid(fldPath, ratio, fmt.Sprintf("ratio %s is less than 1", ratio.String())))
	}
	min, ok := l.Min[r]
	max, ok2 := l.Max[r]
	if !ok || !ok2 {
		return errs
	}
	value, least, most := float64(ratio.Value()), min.Value(), max.Value()
	if ratio.Value() < resource.MaxMilliValue && least < resource.MaxMilliValue && most < resource.MaxMilliValue {
		value, least, most = float64(ratio.MilliValue())/1000, min.MilliValue(), max.MilliValue()
	}
	if limit := float64(most) / float64(least); value > limit {
		errs = append(errs, field.Invalid(fldPath, ratio, fmt.Sprintf("ratio %s is greater than max/min = %f", ratio.String(), limit)))
	}
	return errs
}
