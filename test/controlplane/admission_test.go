package controlplane

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/test/env"
)

// hook is a webhook server that remembers what it was asked.
type hook struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []*admissionv1.AdmissionRequest
	answer func(*admissionv1.AdmissionRequest, *admissionv1.AdmissionResponse)
}

func newHook(answer func(*admissionv1.AdmissionRequest, *admissionv1.AdmissionResponse)) *hook {
	h := &hook{answer: answer}
	h.Server = httptest.NewTLSServer(http.HandlerFunc(h.serve))
	DeferCleanup(h.Close)
	return h
}

func (h *hook) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var review admissionv1.AdmissionReview
	if err == nil {
		err = json.Unmarshal(body, &review)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	h.asked = append(h.asked, review.Request)
	h.mu.Unlock()
	response := &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	h.answer(review.Request, response)
	review.Request, review.Response = nil, response
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review)
}

func (h *hook) requests() []*admissionv1.AdmissionRequest {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*admissionv1.AdmissionRequest(nil), h.asked...)
}

func (h *hook) at() admissionregistrationv1.WebhookClientConfig {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw})
	return admissionregistrationv1.WebhookClientConfig{URL: ptr.To(h.URL), CABundle: ca}
}

func rule(operation admissionregistrationv1.OperationType, resources ...string) []admissionregistrationv1.RuleWithOperations {
	return []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{operation},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{"*"}, APIVersions: []string{"*"}, Resources: resources},
	}}
}

var in = func(namespace string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}}
}

var sideEffectFree = ptr.To(admissionregistrationv1.SideEffectClassNone)

var _ = Describe("dynamic admission", Ordered, func() {
	var w world
	BeforeAll(func() { w = begin() })

	create := func(obj client.Object, opts ...client.CreateOption) error {
		return w.Client.Create(GinkgoTB().Context(), obj, opts...)
	}
	must := func(obj client.Object) {
		GinkgoHelper()
		Expect(create(obj)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(w.Client.Delete(ctx, obj))).To(Succeed()) }, NodeTimeout(10*time.Second))
	}
	configMap := func(namespace, name string, data map[string]string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: named(namespace, name), Data: data}
	}

	It("calls validating webhooks as soon as they are configured", func() {
		w.namespace("validated")
		h := newHook(func(r *admissionv1.AdmissionRequest, a *admissionv1.AdmissionResponse) {
			var m corev1.ConfigMap
			if json.Unmarshal(r.Object.Raw, &m) == nil && m.Data["bad"] != "" {
				a.Allowed, a.Result = false, &metav1.Status{Message: "that is bad", Code: http.StatusTeapot, Reason: "Teapot"}
			}
			a.Warnings = []string{"looked at " + r.Name}
		})
		must(&admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "validate"},
			Webhooks: []admissionregistrationv1.ValidatingWebhook{{
				Name: "deny.example.test", ClientConfig: h.at(), Rules: rule("*", "configmaps"), SideEffects: sideEffectFree,
				AdmissionReviewVersions: []string{"v1"}, NamespaceSelector: in("validated"),
			}},
		})
		By("denying within milliseconds")
		start := time.Now()
		Eventually(func() string {
			return string(apierrors.ReasonForError(create(configMap("validated", "x"+time.Now().Format("150405.000000"), map[string]string{"bad": "1"}))))
		}).WithPolling(time.Millisecond).Should(Equal("Teapot"))
		Expect(time.Since(start)).To(BeNumerically("<", 500*time.Millisecond))
		err := create(configMap("validated", "x", map[string]string{"bad": "1"}))
		Expect(err).To(MatchError(`admission webhook "deny.example.test" denied the request: that is bad`))

		By("passing what is fine, with a warning, and telling of dry runs")
		_, warnings, err := w.run("", "create", "configmap", "fine", "-n", "validated", "--dry-run=server")
		Expect(err).NotTo(HaveOccurred())
		Expect(warnings).To(ContainSubstring("Warning: looked at fine"))
		last := h.requests()[len(h.requests())-1]
		Expect(*last.DryRun).To(BeTrue())
		Expect(last.Kind).To(Equal(metav1.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}))
		Expect(string(last.Object.Raw)).To(HavePrefix(`{"kind":"ConfigMap","apiVersion":"v1"`))

		By("asking of deletions with the object that was")
		Expect(create(configMap("validated", "gone", nil))).To(Succeed())
		w.ok("delete", "configmap", "gone", "-n", "validated")
		last = h.requests()[len(h.requests())-1]
		Expect(last.Operation).To(Equal(admissionv1.Delete))
		Expect(string(last.OldObject.Raw)).To(ContainSubstring(`"name":"gone"`))

		By("leaving other namespaces and configurations alone")
		before := len(h.requests())
		Expect(create(configMap("default", "elsewhere", map[string]string{"bad": "1"}))).To(Succeed())
		Expect(h.requests()).To(HaveLen(before))
	})

	It("lets mutating webhooks change objects, again if others did", func() {
		w.namespace("mutated")
		patch := func(r *admissionv1.AdmissionRequest, a *admissionv1.AdmissionResponse, key, when string) {
			var m corev1.ConfigMap
			if json.Unmarshal(r.Object.Raw, &m) != nil || m.Data[key] != "" || when != "" && m.Data[when] == "" {
				return
			}
			a.PatchType = ptr.To(admissionv1.PatchTypeJSONPatch)
			a.Patch = []byte(`[{"op":"add","path":"/data/` + key + `","value":"yes"}]`)
		}
		// The first changes only what the second has changed.
		first := newHook(func(r *admissionv1.AdmissionRequest, a *admissionv1.AdmissionResponse) {
			patch(r, a, "first", "second")
		})
		second := newHook(func(r *admissionv1.AdmissionRequest, a *admissionv1.AdmissionResponse) { patch(r, a, "second", "") })
		webhook := func(name string, h *hook) admissionregistrationv1.MutatingWebhook {
			return admissionregistrationv1.MutatingWebhook{
				Name: name, ClientConfig: h.at(), Rules: rule("CREATE", "configmaps"), SideEffects: sideEffectFree,
				AdmissionReviewVersions: []string{"v1"}, NamespaceSelector: in("mutated"),
				ReinvocationPolicy: ptr.To(admissionregistrationv1.IfNeededReinvocationPolicy),
				ObjectSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
					{Key: "skip", Operator: metav1.LabelSelectorOpDoesNotExist}}},
				MatchConditions: []admissionregistrationv1.MatchCondition{{Name: "has-data", Expression: "has(object.data)"}},
			}
		}
		must(&admissionregistrationv1.MutatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "mutate"},
			Webhooks:   []admissionregistrationv1.MutatingWebhook{webhook("first.example.test", first), webhook("second.example.test", second)},
		})
		var got *corev1.ConfigMap
		Eventually(func() map[string]string {
			got = configMap("mutated", "m"+time.Now().Format("150405.000000"), map[string]string{"a": "b"})
			Expect(create(got)).To(Succeed())
			return got.Data
		}).WithPolling(time.Millisecond).Should(HaveKeyWithValue("second", "yes"))
		Expect(got.Data).To(HaveKeyWithValue("first", "yes"))
		Expect(got.Kind == "" || got.Kind == "ConfigMap").To(BeTrue())
		none := configMap("mutated", "none", nil)
		Expect(create(none)).To(Succeed())
		Expect(none.Data).To(BeEmpty())
	})

	It("fails closed or open when a webhook does not answer", func() {
		w.namespace("silent")
		config := &admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "silent"},
			Webhooks: []admissionregistrationv1.ValidatingWebhook{{
				Name: "silent.example.test", SideEffects: sideEffectFree, AdmissionReviewVersions: []string{"v1"},
				ClientConfig: admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{Namespace: "silent", Name: "nobody"}},
				Rules:        rule("CREATE", "configmaps"), NamespaceSelector: in("silent"), TimeoutSeconds: ptr.To[int32](1),
			}},
		}
		must(config)
		Eventually(func() error { return create(configMap("silent", "closed"+time.Now().Format("150405.000000"), nil)) }).
			Should(MatchError(ContainSubstring(`failed calling webhook "silent.example.test"`)))
		config.Webhooks[0].FailurePolicy = ptr.To(admissionregistrationv1.Ignore)
		Expect(w.Client.Update(GinkgoTB().Context(), config)).To(Succeed())
		Eventually(func() error { return create(configMap("silent", "open", nil)) }).Should(Succeed())
	})

	It("evaluates validating policies with params, messages, variables and the authorizer", func() {
		w.namespace("ruled")
		must(configMap("ruled", "limits", map[string]string{"max": "3"}))
		must(&admissionregistrationv1.ValidatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "replicas"},
			Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
				ParamKind: &admissionregistrationv1.ParamKind{APIVersion: "v1", Kind: "ConfigMap"},
				MatchConstraints: &admissionregistrationv1.MatchResources{
					NamespaceSelector: in("ruled"),
					ResourceRules:     []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: rule("CREATE", "deployments")[0]}},
				},
				Variables: []admissionregistrationv1.Variable{{Name: "max", Expression: "int(params.data.max)"}},
				Validations: []admissionregistrationv1.Validation{{
					Expression:        "object.spec.replicas <= variables.max",
					MessageExpression: "'at most ' + string(variables.max) + ' in ' + namespaceObject.metadata.name",
				}, {
					Expression: "authorizer.group('').resource('pods').namespace('ruled').check('create').allowed()", Message: "not you",
				}},
			},
		})
		must(&admissionregistrationv1.ValidatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "replicas"},
			Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName: "replicas", ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
				ParamRef: &admissionregistrationv1.ParamRef{Name: "limits", ParameterNotFoundAction: ptr.To(admissionregistrationv1.DenyAction)},
			},
		})
		k := w.in("ruled")
		Eventually(func() string {
			_, stderr, _ := k.run(deployment("big", 4), k.with([]string{"apply", "--dry-run=server", "-f", "-"})...)
			return stderr
		}).Should(ContainSubstring(`ValidatingAdmissionPolicy 'replicas' with binding 'replicas' denied request: at most 3 in ruled`))
		k.apply(deployment("small", 3))

		By("reading params at once")
		w.ok("patch", "configmap", "limits", "-n", "ruled", "-p", `{"data":{"max":"4"}}`)
		k.apply(deployment("big", 4))
	})

	It("checks the types of policies' expressions", func() {
		policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "typed"},
			Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
				MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
					RuleWithOperations: admissionregistrationv1.RuleWithOperations{
						Operations: []admissionregistrationv1.OperationType{"CREATE"},
						Rule:       admissionregistrationv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}},
					},
				}}},
				Validations: []admissionregistrationv1.Validation{{Expression: "object.spec.replicas > '1'"}, {Expression: "object.spec.replicas > 1"}},
			},
		}
		must(policy)
		Eventually(func(g Gomega) {
			g.Expect(w.Client.Get(GinkgoTB().Context(), client.ObjectKeyFromObject(policy), policy)).To(Succeed())
			g.Expect(policy.Status.ObservedGeneration).To(Equal(policy.Generation))
			g.Expect(policy.Status.TypeChecking).NotTo(BeNil())
			g.Expect(policy.Status.TypeChecking.ExpressionWarnings).To(HaveLen(1))
		}).Should(Succeed())
		warning := policy.Status.TypeChecking.ExpressionWarnings[0]
		Expect(warning.FieldRef).To(Equal("spec.validations[0].expression"))
		Expect(warning.Warning).To(ContainSubstring("found no matching overload for '_>_'"))
	})

	It("takes custom resources as params and objects", func() {
		w.namespace("custom")
		w.apply(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.example.test}
spec:
  group: example.test
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {crew: {type: integer}, flags: {type: array, items: {type: string}, x-kubernetes-list-type: set}}}
`)
		boat := func(name string, crew int) string {
			return fmt.Sprintf("apiVersion: example.test/v1\nkind: Boat\nmetadata: {name: %s, labels: {is: %s}}\nspec: {crew: %d, flags: [a]}\n", name, name, crew)
		}
		k := w.in("custom")
		w.ok("wait", "--for=condition=Established", "crd/boats.example.test")
		k.apply(boat("limit", 3))
		rules := []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: rule("CREATE", "boats")[0]}}
		must(&admissionregistrationv1.ValidatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "crew"},
			Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
				ParamKind:        &admissionregistrationv1.ParamKind{APIVersion: "example.test/v1", Kind: "Boat"},
				MatchConstraints: &admissionregistrationv1.MatchResources{NamespaceSelector: in("custom"), ResourceRules: rules},
				Validations:      []admissionregistrationv1.Validation{{Expression: "object.spec.crew <= params.spec.crew", Reason: ptr.To(metav1.StatusReasonForbidden)}},
			},
		})
		must(&admissionregistrationv1.ValidatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "crew"},
			Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName: "crew", ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
				ParamRef: &admissionregistrationv1.ParamRef{
					Selector:                &metav1.LabelSelector{MatchLabels: map[string]string{"is": "limit"}},
					ParameterNotFoundAction: ptr.To(admissionregistrationv1.DenyAction),
				},
			},
		})
		must(&admissionregistrationv1.MutatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "flags"},
			Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
				MatchConstraints:   &admissionregistrationv1.MatchResources{NamespaceSelector: in("custom"), ResourceRules: rules},
				ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy,
				Mutations: []admissionregistrationv1.Mutation{{
					PatchType:          admissionregistrationv1.PatchTypeApplyConfiguration,
					ApplyConfiguration: &admissionregistrationv1.ApplyConfiguration{Expression: `Object{spec: Object.spec{flags: ["b"]}}`},
				}},
			},
		})
		must(&admissionregistrationv1.MutatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "flags"},
			Spec:       admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: "flags"},
		})
		Eventually(func() string {
			_, stderr, _ := k.run(boat("large", 4), k.with([]string{"create", "--dry-run=server", "-f", "-"})...)
			return stderr
		}).Should(ContainSubstring("ValidatingAdmissionPolicy 'crew' with binding 'crew' denied request: failed expression: object.spec.crew <= params.spec.crew"))
		Eventually(func() string {
			return k.feed(boat("small", 2), "create", "--dry-run=server", "-f", "-", "-o", "jsonpath={.spec.flags}")
		}).Should(Equal(`["a","b"]`))

		By("counting them in quotas")
		k.ok("create", "quota", "boats", "--hard=count/boats.example.test=2")
		Eventually(func() string {
			return k.ok("get", "quota", "boats", "-o", `jsonpath={.status.used.count/boats\.example\.test}`)
		}).Should(Equal("1"))
		k.apply(boat("small", 2))
		Expect(k.fails(boat("tiny", 1), "create", "-f", "-")).To(ContainSubstring("exceeded quota: boats, requested: count/boats.example.test=1, used: count/boats.example.test=2, limited: count/boats.example.test=2"))
	})

	It("mutates by policy", func() {
		w.namespace("shaped")
		must(&admissionregistrationv1.MutatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "shape"},
			Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
				MatchConstraints: &admissionregistrationv1.MatchResources{
					NamespaceSelector: in("shaped"),
					ResourceRules:     []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: rule("CREATE", "configmaps")[0]}},
				},
				ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy,
				Mutations: []admissionregistrationv1.Mutation{{
					PatchType:          admissionregistrationv1.PatchTypeApplyConfiguration,
					ApplyConfiguration: &admissionregistrationv1.ApplyConfiguration{Expression: `Object{metadata: Object.metadata{labels: {"shaped": "yes"}}}`},
				}, {
					PatchType: admissionregistrationv1.PatchTypeJSONPatch,
					JSONPatch: &admissionregistrationv1.JSONPatch{Expression: `[JSONPatch{op: "add", path: "/data/by", value: "policy"}]`},
				}},
			},
		})
		must(&admissionregistrationv1.MutatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "shape"},
			Spec:       admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: "shape"},
		})
		Eventually(func(g Gomega) {
			m := configMap("shaped", "s"+strings.ReplaceAll(time.Now().Format("150405.000000"), ".", ""), map[string]string{"a": "b"})
			g.Expect(create(m)).To(Succeed())
			g.Expect(m.Data).To(HaveKeyWithValue("by", "policy"))
			g.Expect(m.Labels).To(HaveKeyWithValue("shaped", "yes"))
		}).WithPolling(time.Millisecond).Should(Succeed())

		By("leaving the generation of what a policy annotates")
		must(&admissionregistrationv1.MutatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: "annotate"},
			Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
				MatchConstraints: &admissionregistrationv1.MatchResources{
					NamespaceSelector: in("shaped"),
					ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
						Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update},
						Rule:       admissionregistrationv1.Rule{APIGroups: []string{"discovery.k8s.io"}, APIVersions: []string{"v1"}, Resources: []string{"endpointslices"}},
					}}},
				},
				ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy,
				Mutations: []admissionregistrationv1.Mutation{{
					PatchType:          admissionregistrationv1.PatchTypeApplyConfiguration,
					ApplyConfiguration: &admissionregistrationv1.ApplyConfiguration{Expression: `Object{metadata: Object.metadata{annotations: {"annotated": "yes"}}}`},
				}},
			},
		})
		must(&admissionregistrationv1.MutatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "annotate"},
			Spec:       admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: "annotate"},
		})
		k := w.in("shaped")
		k.apply(`{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"e"},"addressType":"IPv4","endpoints":[{"addresses":["10.1.2.3"]}]}`)
		Eventually(func() string {
			return k.ok("annotate", "endpointslice/e", "--overwrite", "at="+time.Now().Format(time.RFC3339Nano), "-o", "jsonpath={.metadata.annotations.annotated} {.metadata.generation}")
		}).Should(Equal("yes 1"))
	})

	It("asks webhooks about connections and subresources", func() {
		w.namespace("connected")
		h := newHook(func(r *admissionv1.AdmissionRequest, a *admissionv1.AdmissionResponse) {
			a.Allowed = r.SubResource != "exec" && r.SubResource != "attach"
			a.Result = &metav1.Status{Message: r.Kind.Kind + " is not for you"}
		})
		rules := append(rule("CONNECT", "pods/*"), rule("CREATE", "pods/*")...)
		rules = append(rules, rule("UPDATE", "*/status", "*/scale")...)
		must(&admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "connect"},
			Webhooks: []admissionregistrationv1.ValidatingWebhook{{
				Name: "connect.example.test", ClientConfig: h.at(), Rules: rules, SideEffects: sideEffectFree,
				AdmissionReviewVersions: []string{"v1"}, NamespaceSelector: in("connected"),
			}},
		})
		k := w.in("connected")
		k.apply(deployment("web", 1))
		var name string
		Eventually(func() string {
			name = k.ok("get", "pods", "-o", "jsonpath={.items[*].metadata.name}")
			return k.ok("get", "pods", "-o", "jsonpath={.items[*].status.phase}")
		}).Should(Equal("Running"))
		Eventually(func() string { return k.fails("", "exec", name, "--", "true") }).Should(ContainSubstring("PodExecOptions is not for you"))
		Expect(k.fails("", "attach", name)).To(ContainSubstring("PodAttachOptions is not for you"))
		k.ok("scale", "deployment/web", "--replicas=2")
		Eventually(func() []string {
			var seen []string
			for _, r := range h.requests() {
				seen = append(seen, string(r.Operation)+" "+r.Resource.Resource+"/"+r.SubResource+" "+r.Kind.Kind)
			}
			return seen
		}).Should(ContainElements("CONNECT pods/exec PodExecOptions", "CREATE pods/binding Binding",
			"UPDATE deployments/scale Scale", "UPDATE deployments/status Deployment", "UPDATE pods/status Pod"))
		for _, r := range h.requests() {
			if r.SubResource == "scale" {
				Expect(string(r.Object.Raw)).To(ContainSubstring(`"replicas":2`))
				Expect(string(r.OldObject.Raw)).To(ContainSubstring(`"kind":"Scale"`))
			}
		}
	})
})

var _ = Describe("admission's configuration", func() {
	It("selects and configures plugins", func() {
		file := filepath.Join(GinkgoTB().TempDir(), "admission.yaml")
		Expect(os.WriteFile(file, []byte(`apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: PodSecurity
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/v1
    kind: PodSecurityConfiguration
    defaults: {enforce: baseline, enforce-version: latest, warn: restricted, warn-version: latest}
    exemptions: {namespaces: [kube-system]}
- name: ResourceQuota
  configuration:
    apiVersion: apiserver.config.k8s.io/v1
    kind: ResourceQuotaConfiguration
    limitedResources:
    - {resource: secrets, matchContains: [secrets]}
`), 0o600)).To(Succeed())
		w := begin(env.WithConfig(func(c *v1alpha1.Cluster) {
			c.APIServer.Admission = v1alpha1.Admission{
				ConfigFile: file, EnablePlugins: []string{"AlwaysPullImages", "NamespaceAutoProvision"}, DisablePlugins: []string{"DefaultTolerationSeconds"},
			}
		}))
		pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  hostNetwork: %v\n  containers: [{name: c, image: 'x:1', imagePullPolicy: Never}]\n"
		k := w.in("made-on-the-way")
		Expect(k.fails(fmt.Sprintf(pod, true), "create", "-f", "-")).To(ContainSubstring(`violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)`))
		_, warned, err := k.run(fmt.Sprintf(pod, false), k.with([]string{"create", "-f", "-"})...)
		Expect(err).NotTo(HaveOccurred(), warned)
		Expect(warned).To(ContainSubstring(`Warning: would violate PodSecurity "restricted:latest"`))
		Expect(k.ok("get", "pod", "p", "-o", "jsonpath={.spec.containers[0].imagePullPolicy} {.spec.tolerations}")).To(Equal("Always "))
		Expect(k.fails("", "create", "secret", "generic", "s")).To(ContainSubstring("insufficient quota to consume: count/secrets,secrets"))
		w.in("kube-system").feed(fmt.Sprintf(pod, true), "create", "-f", "-", "--dry-run=server")
	})
})
