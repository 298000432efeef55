package admissionregistration

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func addDefaults(s *runtime.Scheme) {
	add(s, SetDefaultsValidatingWebhookConfiguration, func(l *admissionv1.ValidatingWebhookConfigurationList) []admissionv1.ValidatingWebhookConfiguration {
		return l.Items
	})
	add(s, SetDefaultsMutatingWebhookConfiguration, func(l *admissionv1.MutatingWebhookConfigurationList) []admissionv1.MutatingWebhookConfiguration {
		return l.Items
	})
	add(s, SetDefaultsValidatingAdmissionPolicy, func(l *admissionv1.ValidatingAdmissionPolicyList) []admissionv1.ValidatingAdmissionPolicy {
		return l.Items
	})
	add(s, SetDefaultsValidatingAdmissionPolicyBinding, func(l *admissionv1.ValidatingAdmissionPolicyBindingList) []admissionv1.ValidatingAdmissionPolicyBinding {
		return l.Items
	})
	add(s, SetDefaultsMutatingAdmissionPolicy, func(l *admissionv1.MutatingAdmissionPolicyList) []admissionv1.MutatingAdmissionPolicy { return l.Items })
	add(s, SetDefaultsMutatingAdmissionPolicyBinding, func(l *admissionv1.MutatingAdmissionPolicyBindingList) []admissionv1.MutatingAdmissionPolicyBinding {
		return l.Items
	})
}

// add registers the defaults of a kind and of its list.
func add[T, L any](s *runtime.Scheme, set func(*T), items func(*L) []T) {
	s.AddTypeDefaultingFunc(any(new(T)).(runtime.Object), func(obj any) { set(obj.(*T)) })
	s.AddTypeDefaultingFunc(any(new(L)).(runtime.Object), func(obj any) {
		list := items(obj.(*L))
		for i := range list {
			set(&list[i])
		}
	})
}

func orElse[T any](p **T, value T) {
	if *p == nil {
		*p = &value
	}
}

// SetDefaultsValidatingWebhookConfiguration fills what the API documents as defaults.
func SetDefaultsValidatingWebhookConfiguration(c *admissionv1.ValidatingWebhookConfiguration) {
	for i := range c.Webhooks {
		w := &c.Webhooks[i]
		setHook(&w.FailurePolicy, &w.MatchPolicy, &w.NamespaceSelector, &w.ObjectSelector, &w.TimeoutSeconds)
		setClient(&w.ClientConfig)
		setRules(w.Rules)
	}
}

// SetDefaultsMutatingWebhookConfiguration fills what the API documents as defaults.
func SetDefaultsMutatingWebhookConfiguration(c *admissionv1.MutatingWebhookConfiguration) {
	for i := range c.Webhooks {
		w := &c.Webhooks[i]
		setHook(&w.FailurePolicy, &w.MatchPolicy, &w.NamespaceSelector, &w.ObjectSelector, &w.TimeoutSeconds)
		orElse(&w.ReinvocationPolicy, admissionv1.NeverReinvocationPolicy)
		setClient(&w.ClientConfig)
		setRules(w.Rules)
	}
}

func setHook(failure **admissionv1.FailurePolicyType, match **admissionv1.MatchPolicyType, namespaces, objects **metav1.LabelSelector, timeout **int32) {
	orElse(failure, admissionv1.Fail)
	orElse(match, admissionv1.Equivalent)
	orElse(namespaces, metav1.LabelSelector{})
	orElse(objects, metav1.LabelSelector{})
	orElse(timeout, 10)
}

func setClient(c *admissionv1.WebhookClientConfig) {
	if c.Service != nil {
		orElse(&c.Service.Port, 443)
	}
}

func setRules(rules []admissionv1.RuleWithOperations) {
	for i := range rules {
		orElse(&rules[i].Scope, admissionv1.AllScopes)
	}
}

// SetDefaultsValidatingAdmissionPolicy fills what the API documents as defaults.
func SetDefaultsValidatingAdmissionPolicy(p *admissionv1.ValidatingAdmissionPolicy) {
	orElse(&p.Spec.FailurePolicy, admissionv1.Fail)
	setMatch(p.Spec.MatchConstraints)
}

// SetDefaultsValidatingAdmissionPolicyBinding fills what the API documents as defaults.
func SetDefaultsValidatingAdmissionPolicyBinding(b *admissionv1.ValidatingAdmissionPolicyBinding) {
	setMatch(b.Spec.MatchResources)
}

// SetDefaultsMutatingAdmissionPolicy fills what the API documents as defaults.
func SetDefaultsMutatingAdmissionPolicy(p *admissionv1.MutatingAdmissionPolicy) {
	orElse(&p.Spec.FailurePolicy, admissionv1.Fail)
	setMatch(p.Spec.MatchConstraints)
}

// SetDefaultsMutatingAdmissionPolicyBinding fills what the API documents as defaults.
func SetDefaultsMutatingAdmissionPolicyBinding(b *admissionv1.MutatingAdmissionPolicyBinding) {
	setMatch(b.Spec.MatchResources)
}

func setMatch(m *admissionv1.MatchResources) {
	if m == nil {
		return
	}
	orElse(&m.MatchPolicy, admissionv1.Equivalent)
	orElse(&m.NamespaceSelector, metav1.LabelSelector{})
	orElse(&m.ObjectSelector, metav1.LabelSelector{})
	for _, rules := range [][]admissionv1.NamedRuleWithOperations{m.ResourceRules, m.ExcludeResourceRules} {
		for i := range rules {
			orElse(&rules[i].Scope, admissionv1.AllScopes)
		}
	}
}
