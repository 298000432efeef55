package admissionregistration

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/util/webhook"

	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// reviewVersions returns the versions of AdmissionReview that servers speak.
func reviewVersions() []string { return []string{"v1", "v1beta1"} }

func harmless() []admissionv1.SideEffectClass {
	return []admissionv1.SideEffectClass{admissionv1.SideEffectClassNone, admissionv1.SideEffectClassNoneOnDryRun}
}

// allowances are faults that a stored configuration may keep, though it could not be created today.
type allowances struct {
	sideEffects, unknownReviewVersions, duplicateNames, badSelectors bool
	// conditions is set if the match conditions did not change; they are not validated then.
	conditions bool
	stored     sets.Set[string] // expressions
}

// hooks brings mutating webhooks into the shape of validating ones; all they
// have besides is a reinvocation policy.
func hooks(mutating []admissionv1.MutatingWebhook) []admissionv1.ValidatingWebhook {
	out := make([]admissionv1.ValidatingWebhook, len(mutating))
	for i, m := range mutating {
		out[i] = admissionv1.ValidatingWebhook{
			Name: m.Name, ClientConfig: m.ClientConfig, Rules: m.Rules, FailurePolicy: m.FailurePolicy, MatchPolicy: m.MatchPolicy,
			NamespaceSelector: m.NamespaceSelector, ObjectSelector: m.ObjectSelector, SideEffects: m.SideEffects,
			TimeoutSeconds: m.TimeoutSeconds, AdmissionReviewVersions: m.AdmissionReviewVersions, MatchConditions: m.MatchConditions,
		}
	}
	return out
}

// ValidateValidatingWebhookConfiguration validates a new configuration.
func ValidateValidatingWebhookConfiguration(c *admissionv1.ValidatingWebhookConfiguration) field.ErrorList {
	errs := append(validateMeta(&c.ObjectMeta), validateHooks(c.Webhooks, nil, allowances{})...)
	return append(errs, validateStatic(c.Name)...)
}

// ValidateValidatingWebhookConfigurationUpdate validates a changed
// configuration, which keeps faults that all of it had before.
func ValidateValidatingWebhookConfigurationUpdate(c, old *admissionv1.ValidatingWebhookConfiguration) field.ErrorList {
	return append(validateMeta(&c.ObjectMeta), validateHooks(c.Webhooks, nil, allowed(c.Webhooks, old.Webhooks))...)
}

// ValidateMutatingWebhookConfiguration validates a new configuration.
func ValidateMutatingWebhookConfiguration(c *admissionv1.MutatingWebhookConfiguration) field.ErrorList {
	errs := append(validateMeta(&c.ObjectMeta), validateHooks(hooks(c.Webhooks), reinvocations(c.Webhooks), allowances{})...)
	return append(errs, validateStatic(c.Name)...)
}

// ValidateMutatingWebhookConfigurationUpdate validates a changed
// configuration, which keeps faults that all of it had before.
func ValidateMutatingWebhookConfigurationUpdate(c, old *admissionv1.MutatingWebhookConfiguration) field.ErrorList {
	now, was := hooks(c.Webhooks), hooks(old.Webhooks)
	return append(validateMeta(&c.ObjectMeta), validateHooks(now, reinvocations(c.Webhooks), allowed(now, was))...)
}

func reinvocations(webhooks []admissionv1.MutatingWebhook) []*admissionv1.ReinvocationPolicyType {
	out := make([]*admissionv1.ReinvocationPolicyType, len(webhooks))
	for i := range webhooks {
		out[i] = webhooks[i].ReinvocationPolicy
	}
	return out
}

func allowed(now, old []admissionv1.ValidatingWebhook) allowances {
	a := allowances{stored: sets.New[string](), conditions: slices.EqualFunc(now, old, func(n, o admissionv1.ValidatingWebhook) bool {
		return reflect.DeepEqual(n.MatchConditions, o.MatchConditions)
	})}
	names := sets.New[string]()
	for i := range old {
		h := &old[i]
		a.sideEffects = a.sideEffects || h.SideEffects == nil || !slices.Contains(harmless(), *h.SideEffects)
		a.unknownReviewVersions = a.unknownReviewVersions || len(h.AdmissionReviewVersions) > 0 && !speaks(h.AdmissionReviewVersions)
		a.duplicateNames = a.duplicateNames || names.Has(h.Name)
		names.Insert(h.Name)
		for _, s := range []*metav1.LabelSelector{h.NamespaceSelector, h.ObjectSelector} {
			a.badSelectors = a.badSelectors || s != nil && len(metav1validation.ValidateLabelSelector(s, metav1validation.LabelSelectorValidationOptions{}, nil)) > 0
		}
		for _, c := range h.MatchConditions {
			a.stored.Insert(c.Expression)
		}
	}
	return a
}

func speaks(versions []string) bool {
	return slices.ContainsFunc(versions, func(v string) bool { return slices.Contains(reviewVersions(), v) })
}

// validateHooks validates webhooks; reinvoked has the reinvocation policies of
// mutating ones.
func validateHooks(webhooks []admissionv1.ValidatingWebhook, reinvoked []*admissionv1.ReinvocationPolicyType, a allowances) field.ErrorList {
	var errs field.ErrorList
	names := sets.New[string]()
	for i := range webhooks {
		h, path := &webhooks[i], field.NewPath("webhooks").Index(i)
		errs = append(errs, validateHook(h, a, path)...)
		if reinvoked != nil {
			errs = append(errs, check.OptionalOneOf(path.Child("reinvocationPolicy"), reinvoked[i], admissionv1.IfNeededReinvocationPolicy, admissionv1.NeverReinvocationPolicy)...)
		}
		errs = append(errs, validateClient(&h.ClientConfig, path.Child("clientConfig"))...)
		if !a.conditions {
			errs = append(errs, validateMatchConditions(h.MatchConditions, expressions{stored: a.stored}, path.Child("matchConditions"))...)
		}
		errs = append(errs, validateReviewVersions(h.AdmissionReviewVersions, a, path.Child("admissionReviewVersions"))...)
		if names.Has(h.Name) && h.Name != "" && !a.duplicateNames {
			errs = append(errs, field.Duplicate(path.Child("name"), h.Name))
		}
		names.Insert(h.Name)
	}
	return errs
}

// validateHook validates what comes before the client in the order of errors.
func validateHook(h *admissionv1.ValidatingWebhook, a allowances, path *field.Path) field.ErrorList {
	errs := utilvalidation.IsFullyQualifiedName(path.Child("name"), h.Name)
	errs = append(errs, validateRules(h.Rules, path.Child("rules"))...)
	errs = append(errs, validateFailurePolicy(h.FailurePolicy, path.Child("failurePolicy"))...)
	errs = append(errs, check.OptionalOneOf(path.Child("matchPolicy"), h.MatchPolicy, admissionv1.Equivalent, admissionv1.Exact)...)
	errs = append(errs, validateSideEffects(h.SideEffects, a, path.Child("sideEffects"))...)
	if t := h.TimeoutSeconds; t != nil && (*t > 30 || *t < 1) {
		errs = append(errs, field.Invalid(path.Child("timeoutSeconds"), *t, "the timeout value must be between 1 and 30 seconds"))
	}
	opts := metav1validation.LabelSelectorValidationOptions{AllowInvalidLabelValueInSelector: a.badSelectors}
	if h.NamespaceSelector != nil {
		errs = append(errs, metav1validation.ValidateLabelSelector(h.NamespaceSelector, opts, path.Child("namespaceSelector"))...)
	}
	if h.ObjectSelector != nil {
		errs = append(errs, metav1validation.ValidateLabelSelector(h.ObjectSelector, opts, path.Child("objectSelector"))...)
	}
	return errs
}

func validateSideEffects(s *admissionv1.SideEffectClass, a allowances, path *field.Path) field.ErrorList {
	classes := harmless()
	if a.sideEffects {
		classes = append(classes, admissionv1.SideEffectClassSome, admissionv1.SideEffectClassUnknown)
	}
	if s != nil {
		return check.OneOf(path, *s, classes...)
	}
	names := make([]string, len(classes))
	for i, c := range classes {
		names[i] = string(c)
	}
	return field.ErrorList{field.Required(path, "must specify one of "+strings.Join(names, ", "))}
}

func validateClient(c *admissionv1.WebhookClientConfig, path *field.Path) field.ErrorList {
	switch {
	case (c.URL == nil) == (c.Service == nil):
		return field.ErrorList{field.Required(path, "exactly one of url or service is required")}
	case c.URL != nil:
		return webhook.ValidateWebhookURL(path.Child("url"), *c.URL, true)
	}
	port := int32(0)
	if c.Service.Port != nil {
		port = *c.Service.Port
	}
	// Upstream passes name and namespace in each other's place, so a missing
	// name is reported as a missing namespace and the other way round.
	return webhook.ValidateWebhookService(path.Child("service"), c.Service.Name, c.Service.Namespace, c.Service.Path, port)
}

func validateReviewVersions(versions []string, a allowances, path *field.Path) field.ErrorList {
	known := strings.Join(reviewVersions(), ", ")
	if len(versions) == 0 {
		return field.ErrorList{field.Required(path, "must specify one of "+known)}
	}
	var errs field.ErrorList
	seen := sets.New[string]()
	for i, v := range versions {
		if seen.Has(v) {
			errs = append(errs, field.Invalid(path.Index(i), v, "duplicate version"))
			continue
		}
		seen.Insert(v)
		for _, msg := range utilvalidation.IsDNS1035Label(v) {
			errs = append(errs, field.Invalid(path.Index(i), v, msg))
		}
	}
	if !a.unknownReviewVersions && !speaks(versions) {
		errs = append(errs, field.Invalid(path, versions, "must include at least one of "+known))
	}
	return errs
}

// Unhooked returns the resources that no webhook and no policy sees: reviews,
// whose answers must not depend on webhooks.
func Unhooked() []schema.GroupResource {
	return []schema.GroupResource{
		{Group: "authentication.k8s.io", Resource: "selfsubjectreviews"},
		{Group: "authentication.k8s.io", Resource: "tokenreviews"},
		{Group: "authorization.k8s.io", Resource: "localsubjectaccessreviews"},
		{Group: "authorization.k8s.io", Resource: "selfsubjectaccessreviews"},
		{Group: "authorization.k8s.io", Resource: "selfsubjectrulesreviews"},
		{Group: "authorization.k8s.io", Resource: "subjectaccessreviews"},
	}
}

// ValidatingWebhookWarnings warns of rules that match nothing; old is nil for a create.
func ValidatingWebhookWarnings(c, old *admissionv1.ValidatingWebhookConfiguration) []string {
	return hookWarnings(c.Name, c.Webhooks, old != nil)
}

// MutatingWebhookWarnings warns of rules that match nothing; old is nil for a create.
func MutatingWebhookWarnings(c, old *admissionv1.MutatingWebhookConfiguration) []string {
	return hookWarnings(c.Name, hooks(c.Webhooks), old != nil)
}

func hookWarnings(name string, webhooks []admissionv1.ValidatingWebhook, update bool) []string {
	var warnings []string
	if update {
		warnings = NameWarnings(name)
	}
	for i := range webhooks {
		for j := range webhooks[i].Rules {
			for _, gr := range unhooked(&webhooks[i].Rules[j]) {
				warnings = append(warnings, fmt.Sprintf("%s: %s is excluded from admission webhooks; this rule will have no effect",
					field.NewPath("webhooks").Index(i).Child("rules").Index(j), gr))
			}
		}
	}
	return warnings
}

// unhooked returns the resources that a rule names, though no webhook sees them.
func unhooked(rule *admissionv1.RuleWithOperations) []schema.GroupResource {
	if slices.Contains(rule.APIGroups, "*") || slices.Contains(rule.Resources, "*") {
		return nil
	}
	var found []schema.GroupResource
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			gr := schema.GroupResource{Group: group, Resource: resource}
			if slices.Contains(Unhooked(), gr) && !slices.Contains(found, gr) {
				found = append(found, gr)
			}
		}
	}
	return found
}
