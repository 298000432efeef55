package controlplane

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("manifests", Ordered, func() {
	var w world
	BeforeAll(func() { w = begin() })

	DescribeTable("that are wrong get the error users know, and nothing is stored", func(manifest string, want ...string) {
		said := w.fails(manifest, "apply", "--validate=false", "-f", "-")
		for _, line := range want {
			Expect(said).To(ContainSubstring(line))
		}
		Expect(w.ok("get", "pods,deployments,configmaps,services,secrets", "-l", "bad", "-o", "name")).To(BeEmpty())
	},
		Entry("no image", `{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {bad: ""}}, spec: {containers: [{name: a}]}}`,
			`The Pod "a" is invalid: spec.containers[0].image: Required value`),
		Entry("no containers", `{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {bad: ""}}, spec: {}}`,
			`The Pod "a" is invalid: spec.containers: Required value`),
		Entry("two errors", `{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {bad: ""}}, spec: {restartPolicy: Often, containers: [{name: A, image: x}]}}`,
			`* spec.containers[0].name: Invalid value: "A": a lowercase RFC 1123 label must consist of`,
			`* spec.restartPolicy: Unsupported value: "Often": supported values: "Always", "OnFailure", "Never"`),
		Entry("a bad name", `{apiVersion: v1, kind: ConfigMap, metadata: {name: A_b, labels: {bad: ""}}}`,
			`The ConfigMap "A_b" is invalid: metadata.name: Invalid value: "A_b": a lowercase RFC 1123 subdomain must consist of`),
		Entry("a selector that does not match", strings.Replace(deployment("a", 1), "matchLabels: {app: a}", "matchLabels: {app: b}", 1),
			`The Deployment "a" is invalid: spec.template.metadata.labels: Invalid value: {"app":"a"}: `+"`selector` does not match template `labels`"),
		Entry("a service without ports", `{apiVersion: v1, kind: Service, metadata: {name: a, labels: {bad: ""}}, spec: {selector: {a: b}}}`,
			`The Service "a" is invalid: spec.ports: Required value`),
		Entry("a taken node port", `{apiVersion: v1, kind: Service, metadata: {name: a, labels: {bad: ""}}, spec: {type: NodePort, ports: [{port: 80, nodePort: 80}]}}`,
			`spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767`),
		Entry("limits under requests", `{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {bad: ""}}, spec: {containers: [{name: a, image: x, resources: {requests: {cpu: 2}, limits: {cpu: 1}}}]}}`,
			`spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`),
		Entry("a missing service account", `{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {bad: ""}}, spec: {serviceAccountName: nobody, containers: [{name: a, image: x}]}}`,
			`error looking up service account default/nobody: serviceaccount "nobody" not found`),
		Entry("a type error", `{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {bad: ""}}, spec: {containers: [{name: a, image: 5}]}}`,
			`json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string`),
		Entry("a kind that is not", `{apiVersion: v1, kind: Boat, metadata: {name: a, labels: {bad: ""}}}`,
			`no matches for kind "Boat" in version "v1"`),
		Entry("a namespace that is not", `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: no-such}}`,
			`the namespace from the provided object "no-such" does not match`),
	)

	It("reports which namespace is missing", func() {
		for _, kind := range []string{"pods", "configmaps"} {
			path := "/api/v1/namespaces/no-such/" + kind
			Expect(w.fails(`{"metadata":{"name":"a"},"spec":{"containers":[{"name":"a","image":"b"}]}}`, "create", "--raw", path, "-f", "-")).To(
				ContainSubstring(`Error from server (NotFound): namespaces "no-such" not found`))
		}
	})

	It("reports what a token cannot be bound to", func() {
		Expect(w.fails("", "create", "token", "default", "--bound-object-kind=Pod", "--bound-object-name=no-such")).To(
			ContainSubstring(`pods "no-such" not found`))
	})

	It("refuses unknown and duplicate fields when told to", func() {
		unknown := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"strict","labels":{"bad":""}},"dato":{"a":"b"}}`
		Expect(w.fails(unknown, "create", "--validate=strict", "-f", "-")).To(ContainSubstring(`strict decoding error: unknown field "dato"`))
		stdout, stderr, err := w.run(unknown, "create", "--validate=warn", "-f", "-")
		Expect(err).NotTo(HaveOccurred())
		Expect(stdout).To(ContainSubstring("configmap/strict created"))
		Expect(stderr).To(ContainSubstring(`Warning: unknown field "dato"`))
		w.ok("delete", "configmap", "strict")
	})

	It("refuses changes of what is immutable", func() {
		w.apply(deployment("fixed", 1))
		Expect(w.fails("", "patch", "deployment", "fixed", "-p", `{"spec":{"selector":{"matchLabels":{"more":"x"}},"template":{"metadata":{"labels":{"more":"x"}}}}}`)).To(
			And(ContainSubstring(`The Deployment "fixed" is invalid: spec.selector: Invalid value:`), ContainSubstring("field is immutable")))
		w.ok("create", "secret", "generic", "typed", "--from-literal=a=b")
		Expect(w.fails("", "patch", "secret", "typed", "-p", `{"type":"other"}`)).To(ContainSubstring("type: Invalid value: \"other\": field is immutable"))
		w.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {name: frozen}, immutable: true, data: {a: b}}`)
		Expect(w.fails("", "patch", "configmap", "frozen", "-p", `{"data":{"a":"c"}}`)).To(ContainSubstring("data: Forbidden: field is immutable when `immutable` is set"))
		w.apply(pod("still"))
		Expect(w.fails("", "patch", "pod", "still", "-p", `{"spec":{"terminationGracePeriodSeconds":5}}`)).To(ContainSubstring("spec: Forbidden: pod updates may not change fields other than"))
	})

	It("holds to quotas", func() {
		k := w.namespace("quota")
		k.ok("create", "quota", "small", "--hard=pods=1,requests.cpu=500m,configmaps=2")
		Eventually(func() string { return k.ok("get", "quota", "small", "-o", "jsonpath={.status.used}") }).Should(ContainSubstring(`"configmaps":"1"`), "the quota counts kube-root-ca.crt")
		Expect(k.fails(pod("a"), "create", "-f", "-")).To(ContainSubstring(`pods "a" is forbidden: failed quota: small: must specify requests.cpu for: main`))
		small := strings.Replace(pod("a"), `image: "example.test/main:1"`, `image: x, resources: {requests: {cpu: 400m}}`, 1)
		k.feed(small, "create", "-f", "-")
		Expect(k.fails(strings.Replace(small, "name: a,", "name: b,", 1), "create", "-f", "-")).To(
			ContainSubstring(`pods "b" is forbidden: exceeded quota: small, requested: pods=1,requests.cpu=400m, used: pods=1,requests.cpu=400m, limited: pods=1,requests.cpu=500m`))
		k.ok("create", "configmap", "one")
		Expect(k.fails("", "create", "configmap", "two")).To(ContainSubstring("exceeded quota: small, requested: configmaps=1, used: configmaps=2, limited: configmaps=2"))
		Expect(k.ok("describe", "quota", "small")).To(MatchRegexp(`pods +1 +1`))
		k.ok("delete", "pod", "a")
		Eventually(func() string { return k.ok("get", "quota", "small", "-o", "jsonpath={.status.used.pods}") }).Should(Equal("0"), "a deleted pod is given back")
		k.feed(small, "create", "-f", "-")
	})

	It("sets and enforces a LimitRange", func() {
		k := w.namespace("limits")
		k.apply(`{apiVersion: v1, kind: LimitRange, metadata: {name: lr}, spec: {limits: [{type: Container, default: {memory: 64Mi}, defaultRequest: {memory: 32Mi}, max: {memory: 128Mi}, min: {memory: 16Mi}}]}}`)
		Expect(k.ok("describe", "limitrange", "lr")).To(MatchRegexp(`Container +memory +16Mi +128Mi +32Mi +64Mi`))
		k.apply(pod("defaulted"))
		Expect(k.ok("get", "pod", "defaulted", "-o", "jsonpath={.spec.containers[0].resources.requests.memory} {.spec.containers[0].resources.limits.memory}")).To(Equal("32Mi 64Mi"))
		big := strings.Replace(pod("big"), `image: "example.test/main:1"`, `image: x, resources: {limits: {memory: 1Gi}}`, 1)
		Expect(k.fails(big, "create", "-f", "-")).To(ContainSubstring(`pods "big" is forbidden: maximum memory usage per Container is 128Mi, but limit is 1Gi`))
	})

	It("enforces pod security levels", func() {
		k := w.namespace("safe")
		w.ok("label", "namespace", "safe", "pod-security.kubernetes.io/enforce=restricted")
		Expect(k.fails(pod("loose"), "create", "-f", "-")).To(ContainSubstring(`pods "loose" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "main" must set securityContext.allowPrivilegeEscalation=false)`))
	})
})
