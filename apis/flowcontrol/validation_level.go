package flowcontrol

import (
	"fmt"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
	"k8s.io/apiserver/pkg/util/shufflesharding"

	"github.com/coracle-k8s/coracle/apis/hub"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

const (
	maxQueues = 10_000_000
	// preserveZero is an annotation of v1beta3 alone.
	preserveZero = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares"
)

// ValidatePriorityLevelConfiguration validates a priority level. Those that
// every server must have stay as they are, but for how much the exempt one lends.
func ValidatePriorityLevelConfiguration(pl *flowcontrolv1.PriorityLevelConfiguration) field.ErrorList {
	errs := validation.ValidateObjectMeta(&pl.ObjectMeta, false, validation.NameIsDNSSubdomain, metaPath)
	if _, ok := pl.Annotations[preserveZero]; ok {
		errs = append(errs, field.Forbidden(metaPath.Child("annotations"), fmt.Sprintf("annotation '%s' is forbidden", preserveZero)))
	}
	errs = append(errs, validateLevelSpec(pl.Name, &pl.Spec)...)
	for _, fixed := range bootstrap.MandatoryPriorityLevelConfigurations {
		if fixed.Name == pl.Name {
			errs = append(errs, validateFixed(pl, fixed)...)
		}
	}
	errs = append(errs, ValidatePriorityLevelConfigurationStatusUpdate(pl, pl)...)
	return append(errs, declared(&pl.Spec)...)
}

// declared validates the rules that upstream declares beside the types: their
// errors come after all others and have no hints.
func declared(spec *flowcontrolv1.PriorityLevelConfigurationSpec) field.ErrorList {
	var errs field.ErrorList
	if spec.Exempt != nil && spec.Type != flowcontrolv1.PriorityLevelEnablementExempt {
		errs = append(errs, field.Forbidden(specPath.Child("exempt"), ""))
	}
	at := specPath.Child("limited")
	errs = append(errs, declaredMember(spec.Limited != nil, spec.Type == flowcontrolv1.PriorityLevelEnablementLimited, at)...)
	if spec.Type == "" {
		errs = append(errs, field.Required(specPath.Child("type"), ""))
	}
	if spec.Limited == nil {
		return errs
	}
	at = at.Child("limitResponse")
	response := &spec.Limited.LimitResponse
	errs = append(errs, declaredMember(response.Queuing != nil, response.Type == flowcontrolv1.LimitResponseTypeQueue, at.Child("queuing"))...)
	if response.Type == "" {
		errs = append(errs, field.Required(at.Child("type"), ""))
	}
	return errs
}

// declaredMember wants a member of a union when its type is chosen, and only then.
func declaredMember(set, chosen bool, path *field.Path) field.ErrorList {
	switch {
	case chosen && !set:
		return field.ErrorList{field.Required(path, "")}
	case !chosen && set:
		return field.ErrorList{field.Forbidden(path, "")}
	}
	return nil
}

// ValidatePriorityLevelConfigurationUpdate validates a changed priority level.
func ValidatePriorityLevelConfigurationUpdate(pl, _ *flowcontrolv1.PriorityLevelConfiguration) field.ErrorList {
	return ValidatePriorityLevelConfiguration(pl)
}

// ValidatePriorityLevelConfigurationStatusUpdate validates the conditions of a priority level.
func ValidatePriorityLevelConfigurationStatusUpdate(pl, _ *flowcontrolv1.PriorityLevelConfiguration) field.ErrorList {
	types := make([]string, len(pl.Status.Conditions))
	for i, c := range pl.Status.Conditions {
		types[i] = string(c.Type)
	}
	return validateConditions(types)
}

func validateFixed(pl, fixed *flowcontrolv1.PriorityLevelConfiguration) field.ErrorList {
	spec, but := pl.Spec.DeepCopy(), ""
	if pl.Name == flowcontrolv1.PriorityLevelConfigurationNameExempt {
		spec.Exempt, but = fixed.Spec.Exempt, " except the 'spec.exempt' field"
	}
	if equality.Semantic.DeepEqual(*spec, fixed.Spec) {
		return nil
	}
	return field.ErrorList{field.Invalid(specPath, hub.Internal(pl.Spec), fmt.Sprintf("spec of '%s'%s must equal the fixed value", pl.Name, but))}
}

func validateLevelSpec(name string, spec *flowcontrolv1.PriorityLevelConfigurationSpec) field.ErrorList {
	var errs field.ErrorList
	if (name == flowcontrolv1.PriorityLevelConfigurationNameExempt) != (spec.Type == flowcontrolv1.PriorityLevelEnablementExempt) {
		errs = append(errs, field.Invalid(specPath.Child("type"), spec.Type, "must be 'Exempt' if and only if `name` is 'exempt'"))
	}
	switch spec.Type {
	case "":
		return errs // see declared
	case flowcontrolv1.PriorityLevelEnablementExempt:
		if e := spec.Exempt; e != nil {
			at := specPath.Child("exempt")
			errs = append(errs, validateShares(e.NominalConcurrencyShares, at)...)
			errs = append(errs, validateLendable(e.LendablePercent, at)...)
		}
		return errs
	case flowcontrolv1.PriorityLevelEnablementLimited:
		if spec.Limited != nil {
			errs = append(errs, validateLimited(spec.Limited, specPath.Child("limited"))...)
		}
		return errs
	}
	return append(errs, check.OneOf(specPath.Child("type"), spec.Type, flowcontrolv1.PriorityLevelEnablementExempt, flowcontrolv1.PriorityLevelEnablementLimited)...)
}

func validateShares(shares *int32, path *field.Path) field.ErrorList {
	if shares == nil || *shares >= 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(path.Child("nominalConcurrencyShares"), *shares, "must be a non-negative integer")}
}

func validateLendable(percent *int32, path *field.Path) field.ErrorList {
	if percent == nil || *percent >= 0 && *percent <= 100 {
		return nil
	}
	return field.ErrorList{field.Invalid(path.Child("lendablePercent"), *percent, "must be between 0 and 100, inclusive")}
}

func validateLimited(l *flowcontrolv1.LimitedPriorityLevelConfiguration, path *field.Path) field.ErrorList {
	errs := validateShares(l.NominalConcurrencyShares, path)
	at, queuing := path.Child("limitResponse"), l.LimitResponse.Queuing
	switch l.LimitResponse.Type {
	case "", flowcontrolv1.LimitResponseTypeReject: // see declared
	case flowcontrolv1.LimitResponseTypeQueue:
		if queuing != nil {
			errs = append(errs, validateQueuing(queuing, at.Child("queuing"))...)
		}
	default:
		errs = append(errs, check.OneOf(at.Child("type"), l.LimitResponse.Type, flowcontrolv1.LimitResponseTypeQueue, flowcontrolv1.LimitResponseTypeReject)...)
	}
	errs = append(errs, validateLendable(l.LendablePercent, path)...)
	if p := l.BorrowingLimitPercent; p != nil && *p < 0 {
		errs = append(errs, field.Invalid(path.Child("borrowingLimitPercent"), *p, "if specified, must be a non-negative integer"))
	}
	return errs
}

func validateQueuing(q *flowcontrolv1.QueuingConfiguration, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if q.QueueLengthLimit <= 0 {
		errs = append(errs, field.Invalid(path.Child("queueLengthLimit"), q.QueueLengthLimit, "must be positive"))
	}
	if q.Queues <= 0 {
		errs = append(errs, field.Invalid(path.Child("queues"), q.Queues, "must be positive"))
	} else if q.Queues > maxQueues {
		errs = append(errs, field.Invalid(path.Child("queues"), q.Queues, fmt.Sprintf("must not be greater than %d", maxQueues)))
	}
	at := path.Child("handSize")
	if q.HandSize <= 0 {
		errs = append(errs, field.Invalid(at, q.HandSize, "must be positive"))
	} else if q.HandSize > q.Queues {
		errs = append(errs, field.Invalid(at, q.HandSize, fmt.Sprintf("should not be greater than queues (%d)", q.Queues)))
	} else if bits := shufflesharding.RequiredEntropyBits(int(q.Queues), int(q.HandSize)); bits > shufflesharding.MaxHashBits {
		errs = append(errs, field.Invalid(at, q.HandSize,
			fmt.Sprintf("required entropy bits of deckSize %d and handSize %d should not be greater than %d", q.Queues, q.HandSize, shufflesharding.MaxHashBits)))
	}
	return errs
}
