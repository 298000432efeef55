package admissionregistration

import (
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/randfill"
)

func scheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	if err := Install(s); err != nil {
		t.Fatal(err)
	}
	return s
}

// expect wants exactly one error that begins with want, or none for "".
func expect(t *testing.T, name string, errs field.ErrorList, want string) {
	t.Helper()
	switch {
	case want == "" && len(errs) > 0:
		t.Errorf("%s: %v", name, errs)
	case want != "" && (len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), want)):
		t.Errorf("%s: got %v, want %s", name, errs, want)
	}
}

func rule() admissionv1.RuleWithOperations {
	return admissionv1.RuleWithOperations{Operations: []admissionv1.OperationType{"CREATE"},
		Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}}}
}

func hook(change func(*admissionv1.ValidatingWebhook)) *admissionv1.ValidatingWebhookConfiguration {
	w := admissionv1.ValidatingWebhook{Name: "a.example.com", ClientConfig: admissionv1.WebhookClientConfig{URL: ptr.To("https://example.com")},
		Rules: []admissionv1.RuleWithOperations{rule()}, SideEffects: ptr.To(admissionv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"}}
	change(&w)
	c := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Webhooks: []admissionv1.ValidatingWebhook{w}}
	SetDefaultsValidatingWebhookConfiguration(c)
	return c
}

func TestWebhooks(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*admissionv1.ValidatingWebhook)
		want   string
	}{
		"valid":           {func(*admissionv1.ValidatingWebhook) {}, ""},
		"short name":      {func(w *admissionv1.ValidatingWebhook) { w.Name = "a" }, "webhooks[0].name: Invalid value"},
		"side effects":    {func(w *admissionv1.ValidatingWebhook) { w.SideEffects = ptr.To(admissionv1.SideEffectClassSome) }, `webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"`},
		"no side effects": {func(w *admissionv1.ValidatingWebhook) { w.SideEffects = nil }, "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun"},
		"timeout":         {func(w *admissionv1.ValidatingWebhook) { w.TimeoutSeconds = ptr.To[int32](31) }, "webhooks[0].timeoutSeconds: Invalid value: 31"},
		"review":          {func(w *admissionv1.ValidatingWebhook) { w.AdmissionReviewVersions = []string{"v2"} }, "webhooks[0].admissionReviewVersions: Invalid value"},
		"two clients": {func(w *admissionv1.ValidatingWebhook) {
			w.ClientConfig.Service = &admissionv1.ServiceReference{Namespace: "a", Name: "b"}
		}, "webhooks[0].clientConfig: Required value: exactly one of url or service is required"},
		"resources":  {func(w *admissionv1.ValidatingWebhook) { w.Rules[0].Resources = []string{"pods/*", "pods/log"} }, "webhooks[0].rules[0].resources[1]: Invalid value: \"pods/log\": if 'pods/*' is present, must not specify pods/log"},
		"operations": {func(w *admissionv1.ValidatingWebhook) { w.Rules[0].Operations = append(w.Rules[0].Operations, "*") }, "webhooks[0].rules[0].operations: Invalid value"},
		"condition": {func(w *admissionv1.ValidatingWebhook) {
			w.MatchConditions = []admissionv1.MatchCondition{{Name: "a", Expression: "object.metadata.name + 1"}, {Name: "b", Expression: "object.metadata.name == 'x'"}}
		}, "webhooks[0].matchConditions[0].expression: Invalid value"},
		"condition syntax": {func(w *admissionv1.ValidatingWebhook) {
			w.MatchConditions = []admissionv1.MatchCondition{{Name: "a", Expression: "request.nothing == 1"}}
		}, "webhooks[0].matchConditions[0].expression: Invalid value"},
	} {
		expect(t, name, ValidateValidatingWebhookConfiguration(hook(c.change)), c.want)
	}
	// Faults of the stored object may stay.
	bad := hook(func(w *admissionv1.ValidatingWebhook) {
		w.SideEffects = ptr.To(admissionv1.SideEffectClassSome)
		w.MatchConditions = []admissionv1.MatchCondition{{Name: "a", Expression: "broken("}}
	})
	expect(t, "ratcheting", ValidateValidatingWebhookConfigurationUpdate(bad, bad), "")
	static := hook(func(*admissionv1.ValidatingWebhook) {})
	static.Name = "x.static.k8s.io"
	expect(t, "reserved", ValidateValidatingWebhookConfiguration(static), "metadata.name: Invalid value")
	expect(t, "reserved before", ValidateValidatingWebhookConfigurationUpdate(static, static), "")
	reviews := hook(func(w *admissionv1.ValidatingWebhook) {
		w.Rules[0].APIGroups, w.Rules[0].Resources = []string{"authentication.k8s.io"}, []string{"tokenreviews"}
	})
	if got := ValidatingWebhookWarnings(reviews, nil); len(got) != 1 || got[0] != "webhooks[0].rules[0]: tokenreviews.authentication.k8s.io is excluded from admission webhooks; this rule will have no effect" {
		t.Errorf("warnings: %v", got)
	}
}

func policy(change func(*admissionv1.ValidatingAdmissionPolicySpec)) *admissionv1.ValidatingAdmissionPolicy {
	p := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p.example.com"}, Spec: admissionv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: rule()}}},
		Validations:      []admissionv1.Validation{{Expression: "object.spec.replicas < 5"}},
	}}
	change(&p.Spec)
	SetDefaultsValidatingAdmissionPolicy(p)
	return p
}

func TestValidatingPolicies(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*admissionv1.ValidatingAdmissionPolicySpec)
		want   string
	}{
		"valid": {func(*admissionv1.ValidatingAdmissionPolicySpec) {}, ""},
		"variables in order": {func(s *admissionv1.ValidatingAdmissionPolicySpec) {
			s.Variables = []admissionv1.Variable{{Name: "a", Expression: "object.x"}, {Name: "b", Expression: "variables.a == 1"}}
			s.Validations[0].Expression = "variables.b"
		}, ""},
		"variable after": {func(s *admissionv1.ValidatingAdmissionPolicySpec) {
			s.Variables = []admissionv1.Variable{{Name: "b", Expression: "variables.a == 1"}, {Name: "a", Expression: "object.x"}}
		}, "spec.variables[0].expression: Invalid value"},
		"params without kind": {func(s *admissionv1.ValidatingAdmissionPolicySpec) { s.Validations[0].Expression = "params.x == 1" }, "spec.validations[0].expression: Invalid value"},
		"params": {func(s *admissionv1.ValidatingAdmissionPolicySpec) {
			s.ParamKind = &admissionv1.ParamKind{APIVersion: "v1", Kind: "ConfigMap"}
			s.Validations[0].Expression, s.Validations[0].MessageExpression = "params.x == 1", "params.y + 'z'"
		}, ""},
		"not bool":         {func(s *admissionv1.ValidatingAdmissionPolicySpec) { s.Validations[0].Expression = "'a'" }, `spec.validations[0].expression: Invalid value: "'a'": must evaluate to bool but got string`},
		"empty":            {func(s *admissionv1.ValidatingAdmissionPolicySpec) { s.Validations[0].Expression = " " }, "spec.validations[0].expression: Required value: expression is not specified"},
		"message":          {func(s *admissionv1.ValidatingAdmissionPolicySpec) { s.Validations[0].Message = "a\nb" }, "spec.validations[0].message: Invalid value"},
		"message of other": {func(s *admissionv1.ValidatingAdmissionPolicySpec) { s.Validations[0].MessageExpression = "authorizer" }, "spec.validations[0].messageExpression: Invalid value"},
		"reason": {func(s *admissionv1.ValidatingAdmissionPolicySpec) {
			s.Validations[0].Reason = ptr.To(metav1.StatusReasonConflict)
		}, "spec.validations[0].reason: Unsupported value"},
		"audit": {func(s *admissionv1.ValidatingAdmissionPolicySpec) {
			s.AuditAnnotations = []admissionv1.AuditAnnotation{{Key: "k", ValueExpression: "'a' + string(object.x)"}}
		}, ""},
		"rules": {func(s *admissionv1.ValidatingAdmissionPolicySpec) { s.MatchConstraints.ResourceRules = nil }, "spec.matchConstraints.resourceRules: Required value"},
		"kind": {func(s *admissionv1.ValidatingAdmissionPolicySpec) {
			s.ParamKind = &admissionv1.ParamKind{APIVersion: "a/b/c", Kind: "K"}
		}, "spec.paramKind.apiVersion: Invalid value"},
	} {
		expect(t, name, ValidateValidatingAdmissionPolicy(policy(c.change)), c.want)
	}
}

func TestMutatingPolicies(t *testing.T) {
	for expression, want := range map[string]string{
		`[JSONPatch{op: "add", path: "/metadata/labels/x", value: "y"}]`: "",
		`"x"`: "spec.mutations[0].jsonPatch.expression: Invalid value",
		``:    "spec.mutations[0].jsonPatch.expression: Required value",
	} {
		p := &admissionv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: admissionv1.MutatingAdmissionPolicySpec{
			ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
			MatchConstraints:   &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: rule()}}},
			Mutations:          []admissionv1.Mutation{{PatchType: admissionv1.PatchTypeJSONPatch, JSONPatch: &admissionv1.JSONPatch{Expression: expression}}},
		}}
		SetDefaultsMutatingAdmissionPolicy(p)
		expect(t, expression, ValidateMutatingAdmissionPolicy(p), want)
		apply := p.DeepCopy()
		apply.Spec.Mutations = []admissionv1.Mutation{{PatchType: admissionv1.PatchTypeApplyConfiguration,
			ApplyConfiguration: &admissionv1.ApplyConfiguration{Expression: `Object{spec: Object.spec{replicas: 1}}`}}}
		expect(t, "apply", ValidateMutatingAdmissionPolicy(apply), "")
		apply.Spec.MatchConstraints.ResourceRules[0].Operations = []admissionv1.OperationType{admissionv1.Delete}
		expect(t, "delete", ValidateMutatingAdmissionPolicy(apply), "spec.matchConstraints.resourceRules.operations: Unsupported value")
	}
}

func TestBindings(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*admissionv1.ValidatingAdmissionPolicyBindingSpec)
		want   string
	}{
		"valid":     {func(*admissionv1.ValidatingAdmissionPolicyBindingSpec) {}, ""},
		"no action": {func(s *admissionv1.ValidatingAdmissionPolicyBindingSpec) { s.ValidationActions = nil }, "spec.validationActions: Required value"},
		"deny and warn": {func(s *admissionv1.ValidatingAdmissionPolicyBindingSpec) {
			s.ValidationActions = []admissionv1.ValidationAction{"Deny", "Warn"}
		}, "spec.validationActions: Invalid value"},
		"no policy": {func(s *admissionv1.ValidatingAdmissionPolicyBindingSpec) { s.PolicyName = "" }, "spec.policyName: Required value"},
		"param": {func(s *admissionv1.ValidatingAdmissionPolicyBindingSpec) {
			s.ParamRef = &admissionv1.ParamRef{Name: "x"}
		}, "spec.paramRef.parameterNotFoundAction: Required value"},
		"no param": {func(s *admissionv1.ValidatingAdmissionPolicyBindingSpec) {
			s.ParamRef = &admissionv1.ParamRef{ParameterNotFoundAction: ptr.To(admissionv1.DenyAction)}
		}, "spec.paramRef: Required value: one of name or selector must be specified"},
	} {
		b := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: "p", ValidationActions: []admissionv1.ValidationAction{"Deny"}}}
		c.change(&b.Spec)
		expect(t, name, ValidateValidatingAdmissionPolicyBinding(b), c.want)
	}
}

// noise validates a kind, filled with noise, as new and as an update.
func noise[T any](create func(*T) field.ErrorList, updates ...func(now, old *T) field.ErrorList) func(*randfill.Filler, func(any)) {
	return func(f *randfill.Filler, defaults func(any)) {
		a, b := new(T), new(T)
		f.Fill(a)
		f.Fill(b)
		create(a)
		defaults(a)
		create(a)
		for _, u := range updates {
			u(a, b)
			u(a, a)
		}
	}
}

func TestNoPanic(t *testing.T) {
	s := scheme(t)
	for seed := range int64(10) {
		f := randfill.NewWithSeed(seed).NilChance(0.4).NumElements(0, 2).MaxDepth(10).Funcs(func(*metav1.FieldsV1, randfill.Continue) {})
		for _, kind := range []func(*randfill.Filler, func(any)){
			noise(ValidateValidatingWebhookConfiguration, ValidateValidatingWebhookConfigurationUpdate),
			noise(ValidateMutatingWebhookConfiguration, ValidateMutatingWebhookConfigurationUpdate),
			noise(ValidateValidatingAdmissionPolicy, ValidateValidatingAdmissionPolicyUpdate, ValidateValidatingAdmissionPolicyStatusUpdate),
			noise(ValidateValidatingAdmissionPolicyBinding, ValidateValidatingAdmissionPolicyBindingUpdate),
			noise(ValidateMutatingAdmissionPolicy, ValidateMutatingAdmissionPolicyUpdate),
			noise(ValidateMutatingAdmissionPolicyBinding, ValidateMutatingAdmissionPolicyBindingUpdate),
		} {
			kind(f, func(o any) { s.Default(o.(runtime.Object)) })
		}
	}
}
