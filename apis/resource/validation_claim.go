package resource

import (
	"fmt"
	"slices"
	"strings"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	dracel "k8s.io/dynamic-resource-allocation/cel"

	"github.com/coracle-k8s/coracle/apis/core/validation/scheduling"
	"github.com/coracle-k8s/coracle/apis/core/validation/volume"
	"github.com/coracle-k8s/coracle/apis/hub"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// ValidateResourceClaim validates a new claim and compiles its selectors.
func ValidateResourceClaim(c *resourcev1.ResourceClaim) field.ErrorList {
	errs := validation.ValidateObjectMeta(&c.ObjectMeta, true, validation.NameIsDNSSubdomain, metaPath)
	errs = append(errs, validateClaim(&c.Spec.Devices, specPath.Child("devices"))...)
	return append(errs, declaredClaim(&c.Spec.Devices, specPath.Child("devices"))...)
}

// ValidateResourceClaimUpdate validates a changed claim, whose spec stays.
func ValidateResourceClaimUpdate(c, old *resourcev1.ResourceClaim) field.ErrorList {
	errs := validation.ValidateObjectMeta(&c.ObjectMeta, true, validation.NameIsDNSSubdomain, metaPath)
	errs = append(errs, validation.ValidateObjectMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, metaPath)...)
	if !equality.Semantic.DeepEqual(c.Spec, old.Spec) {
		errs = append(errs, field.Invalid(specPath, nil, validation.FieldImmutableErrorMsg))
	}
	return errs
}

// ValidateResourceClaimTemplate validates a new template.
func ValidateResourceClaimTemplate(t *resourcev1.ResourceClaimTemplate) field.ErrorList {
	return append(validateTemplate(t), declaredClaim(&t.Spec.Spec.Devices, specPath.Child("spec", "devices"))...)
}

func validateTemplate(t *resourcev1.ResourceClaimTemplate) field.ErrorList {
	errs := validation.ValidateObjectMeta(&t.ObjectMeta, true, validation.NameIsDNSSubdomain, metaPath)
	errs = append(errs, volume.TemplateMeta(specPath.Child("metadata"), &t.Spec.ObjectMeta)...)
	return append(errs, validateClaim(&t.Spec.Spec.Devices, specPath.Child("spec", "devices"))...)
}

// ValidateResourceClaimTemplateUpdate validates a changed template, whose spec stays.
func ValidateResourceClaimTemplateUpdate(t, old *resourcev1.ResourceClaimTemplate) field.ErrorList {
	errs := append(validateTemplate(t), validation.ValidateObjectMetaUpdate(&t.ObjectMeta, &old.ObjectMeta, metaPath)...)
	if equality.Semantic.DeepEqual(t.Spec, old.Spec) {
		return errs
	}
	errs = append(errs, field.Invalid(specPath, hub.Internal(t.Spec), validation.FieldImmutableErrorMsg))
	return append(errs, declaredClaim(&t.Spec.Spec.Devices, specPath.Child("spec", "devices"))...)
}

// ValidateDeviceClass validates a new class.
func ValidateDeviceClass(c *resourcev1.DeviceClass) field.ErrorList { return validateClass(c, nil) }

// ValidateDeviceClassUpdate validates a changed class. Selectors and parameters
// that stay are not looked at again.
func ValidateDeviceClassUpdate(c, old *resourcev1.DeviceClass) field.ErrorList {
	return validateClass(c, old)
}

func validateClass(c, old *resourcev1.DeviceClass) field.ErrorList {
	any := func(*field.Path, string) field.ErrorList { return nil } // declared
	errs := validation.ValidateObjectMetaWithOpts(&c.ObjectMeta, false, any, metaPath)
	if old != nil {
		errs = append(errs, validation.ValidateObjectMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, metaPath)...)
	}
	stored := old != nil && equality.Semantic.DeepEqual(c.Spec.Selectors, old.Spec.Selectors)
	errs = append(errs, validateSelectors(c.Spec.Selectors, stored, specPath.Child("selectors"))...)
	stored = old != nil && equality.Semantic.DeepEqual(c.Spec.Config, old.Spec.Config)
	errs = append(errs, upTo(c.Spec.Config, resourcev1.DeviceConfigMaxSize, specPath.Child("config"), func(d *resourcev1.DeviceClassConfiguration, at *field.Path) field.ErrorList {
		return validateConfiguration(d.DeviceConfiguration, stored, at)
	})...)
	return append(errs, declaredClass(c, old)...)
}

// requests are the names of a claim's requests, and under each those of its
// alternatives.
type requests map[string][]string

func requestsOf(c *resourcev1.DeviceClaim) requests {
	names := requests{}
	for _, r := range c.Requests {
		names[r.Name] = nil
		for _, sub := range r.FirstAvailable {
			names[r.Name] = append(names[r.Name], sub.Name)
		}
	}
	return names
}

// validateRef wants the name of a request or request/alternative.
func (r requests) validateRef(ref *string, path *field.Path) field.ErrorList {
	unknown := field.Invalid(path, *ref, "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'")
	segments := strings.Split(*ref, "/")
	if len(segments) > 2 {
		return field.ErrorList{unknown}
	}
	var errs field.ErrorList
	for _, s := range segments {
		errs = append(errs, label(s, path)...)
	}
	subs, ok := r[segments[0]]
	if !ok || len(segments) == 2 && !slices.Contains(subs, segments[1]) {
		errs = append(errs, unknown)
	}
	return errs
}

func (r requests) validateRefs(refs []string, path *field.Path) field.ErrorList {
	return upTo(refs, resourcev1.DeviceRequestsMaxSize, path.Child("requests"), r.validateRef)
}

func validateClaim(c *resourcev1.DeviceClaim, path *field.Path) field.ErrorList {
	names := requestsOf(c)
	errs := upTo(c.Requests, resourcev1.DeviceRequestsMaxSize, path.Child("requests"), validateRequest)
	errs = append(errs, upTo(c.Constraints, resourcev1.DeviceConstraintsMaxSize, path.Child("constraints"), func(d *resourcev1.DeviceConstraint, at *field.Path) field.ErrorList {
		errs := names.validateRefs(d.Requests, at)
		if d.MatchAttribute != nil || d.DistinctAttribute != nil {
			return errs
		}
		return append(errs, field.Required(at, `exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set`))
	})...)
	return append(errs, upTo(c.Config, resourcev1.DeviceConfigMaxSize, path.Child("config"), func(d *resourcev1.DeviceClaimConfiguration, at *field.Path) field.ErrorList {
		return append(names.validateRefs(d.Requests, at), validateConfiguration(d.DeviceConfiguration, false, at)...)
	})...)
}

func validateRequest(r *resourcev1.DeviceRequest, path *field.Path) field.ErrorList {
	errs := label(r.Name, path.Child("name"))
	switch {
	case r.Exactly == nil && len(r.FirstAvailable) == 0:
		return append(errs, field.Required(path, "exactly one of `exactly` or `firstAvailable` is required"))
	case r.Exactly != nil && len(r.FirstAvailable) > 0:
		return append(errs, field.Invalid(path, nil, "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"))
	case r.Exactly != nil:
		e, at := r.Exactly, path.Child("exactly", "deviceClassName")
		if e.DeviceClassName == "" {
			errs = append(errs, field.Required(at, ""))
		} else {
			errs = append(errs, check.Invalid(at, e.DeviceClassName, utilvalidation.IsDNS1123Subdomain(e.DeviceClassName))...)
		}
		return append(errs, validateWish(wish{e.Selectors, e.AllocationMode, e.Count, e.Tolerations}, path.Child("exactly"))...)
	}
	return append(errs, upTo(r.FirstAvailable, resourcev1.FirstAvailableDeviceRequestMaxSize, path.Child("firstAvailable"),
		func(s *resourcev1.DeviceSubRequest, at *field.Path) field.ErrorList {
			return append(label(s.Name, at.Child("name")), validateWish(wish{s.Selectors, s.AllocationMode, s.Count, s.Tolerations}, at)...)
		})...)
}

// wish holds what a request and an alternative have in common.
type wish struct {
	selectors   []resourcev1.DeviceSelector
	mode        resourcev1.DeviceAllocationMode
	count       int64
	tolerations []resourcev1.DeviceToleration
}

func validateWish(w wish, path *field.Path) field.ErrorList {
	errs := validateSelectors(w.selectors, false, path.Child("selectors"))
	switch at := path.Child("count"); w.mode {
	case resourcev1.DeviceAllocationModeAll:
		if w.count != 0 {
			errs = append(errs, field.Invalid(at, w.count, fmt.Sprintf("must not be specified when allocationMode is '%s'", w.mode)))
		}
	case resourcev1.DeviceAllocationModeExactCount:
		if w.count <= 0 {
			errs = append(errs, field.Invalid(at, w.count, "must be greater than zero"))
		}
	case "": // of v1beta1, which gives requests without a class no default
		errs = append(errs, field.NotSupported(path.Child("allocationMode"), w.mode,
			[]resourcev1.DeviceAllocationMode{resourcev1.DeviceAllocationModeAll, resourcev1.DeviceAllocationModeExactCount}))
	}
	return append(errs, each(w.tolerations, -1, path.Child("tolerations"), validateToleration)...)
}

func validateSelectors(selectors []resourcev1.DeviceSelector, stored bool, path *field.Path) field.ErrorList {
	return upTo(selectors, resourcev1.DeviceSelectorsMaxSize, path, func(s *resourcev1.DeviceSelector, at *field.Path) field.ErrorList {
		switch {
		case s.CEL == nil:
			return field.ErrorList{field.Required(at.Child("cel"), "")}
		case stored:
			return nil
		}
		return validateExpression(s.CEL.Expression, at.Child("cel", "expression"))
	})
}

func validateExpression(text string, path *field.Path) field.ErrorList {
	if len(text) > resourcev1.CELSelectorExpressionMaxLength {
		return field.ErrorList{field.TooLong(path, "", resourcev1.CELSelectorExpressionMaxLength)}
	}
	mode := environment.NewExpressions
	result := dracel.GetCompiler(dracel.Features{EnableConsumableCapacity: true}).CompileCELExpression(text, dracel.Options{EnvType: &mode})
	if err := result.Error; err != nil {
		switch err.Type {
		case cel.ErrorTypeRequired:
			return field.ErrorList{field.Required(path, err.Detail)}
		case cel.ErrorTypeInvalid:
			return field.ErrorList{field.Invalid(path, text, err.Detail)}
		}
		return field.ErrorList{field.InternalError(path, err)}
	}
	if result.MaxCost > resourcev1.CELSelectorExpressionMaxCost {
		return field.ErrorList{field.Forbidden(path, "too complex, exceeds cost limit")}
	}
	return nil
}

// validateAllocation validates where a claim's devices may be used and which they are.
func validateAllocation(a *resourcev1.AllocationResult, names requests, path *field.Path) field.ErrorList {
	devices := path.Child("devices")
	errs := upTo(a.Devices.Results, resourcev1.AllocationResultsMaxSize, devices.Child("results"), func(r *resourcev1.DeviceRequestAllocationResult, at *field.Path) field.ErrorList {
		errs := names.validateRef(&r.Request, at.Child("request"))
		errs = append(errs, label(r.Device, at.Child("device"))...)
		errs = append(errs, validateBinding(r.BindingConditions, r.BindingFailureConditions, at)...)
		return append(errs, each(r.Tolerations, -1, at.Child("tolerations"), validateToleration)...)
	})
	// As many as claim and class may have together.
	errs = append(errs, upTo(a.Devices.Config, 2*resourcev1.DeviceConfigMaxSize, devices.Child("config"), func(c *resourcev1.DeviceAllocationConfiguration, at *field.Path) field.ErrorList {
		return append(names.validateRefs(c.Requests, at), validateConfiguration(c.DeviceConfiguration, false, at)...)
	})...)
	if a.NodeSelector != nil {
		errs = append(errs, scheduling.NodeSelector(path.Child("nodeSelector"), a.NodeSelector, false)...)
	}
	return errs
}
