package controlplane

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("kubectl", Ordered, func() {
	var w world
	BeforeAll(func() { w = begin() })

	It("explains", func() {
		Expect(w.ok("explain", "pod.spec.containers.image")).To(And(ContainSubstring("KIND:       Pod"), ContainSubstring("FIELD: image <string>"), ContainSubstring("Container image name.")))
		Expect(w.ok("explain", "deployment", "--recursive")).To(And(ContainSubstring("GROUP:      apps"), ContainSubstring("maxSurge\t<IntOrString>")))
	})

	It("validates on the client's side with the server's schema", func() {
		said := w.fails(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"containers":[{"name":"a","image":"b","imgae":"c"}]}}`, "apply", "-f", "-")
		Expect(said).To(Or(ContainSubstring(`strict decoding error: unknown field "spec.containers[0].imgae"`), ContainSubstring(`unknown field "imgae"`)))
	})

	It("honours aliases and defaults of kuberc", func() {
		file := filepath.Join(GinkgoT().TempDir(), "kuberc")
		Expect(os.WriteFile(file, []byte(`
apiVersion: kubectl.config.k8s.io/v1beta1
kind: Preference
aliases:
- name: settings
  command: get
  prependArgs: [configmaps]
  options:
  - {name: output, default: name}
defaults:
- command: create configmap
  options:
  - {name: output, default: name}
`), 0o600)).To(Succeed())
		Expect(w.ok("--kuberc", file, "create", "configmap", "kuberc")).To(Equal("configmap/kuberc\n"))
		// As plugins', names of aliases come before any flag.
		stdout, stderr, err := w.run("", "settings", "--kuberc", file, "--namespace", "default")
		Expect(err).NotTo(HaveOccurred(), stderr)
		Expect(stdout).To(ContainSubstring("configmap/kuberc\n"))
	})

	It("lists resources and versions", func() {
		Expect(w.ok("api-resources")).To(And(
			MatchRegexp(`(?m)^pods +po +v1 +true +Pod$`), MatchRegexp(`(?m)^deployments +deploy +apps/v1 +true +Deployment$`),
			MatchRegexp(`(?m)^nodes +no +v1 +false +Node$`), MatchRegexp(`(?m)^endpointslices +discovery.k8s.io/v1 +true +EndpointSlice$`)))
		Expect(w.ok("api-resources", "--categories=all", "-o", "name")).To(And(ContainSubstring("pods\n"), ContainSubstring("deployments.apps\n"), ContainSubstring("services\n")))
		Expect(w.ok("api-versions")).To(And(ContainSubstring("apps/v1\n"), ContainSubstring("rbac.authorization.k8s.io/v1\n")))
		Expect(w.ok("version")).To(MatchRegexp(`Server Version: v1\.37`))
		Expect(w.ok("cluster-info")).To(ContainSubstring("is running at"))
	})

	It("applies, shows differences, prunes fields", func() {
		w.apply(deployment("applied", 1))
		Expect(w.apply(deployment("applied", 1))).To(ContainSubstring("deployment.apps/applied unchanged"))
		stdout, _, err := w.run(deployment("applied", 2), w.with([]string{"diff", "-f", "-"})...)
		Expect(err).To(HaveOccurred(), "diff says by its exit code that there is a difference")
		Expect(stdout).To(And(ContainSubstring("-  replicas: 1"), ContainSubstring("+  replicas: 2")))
		Expect(w.apply(deployment("applied", 2))).To(ContainSubstring("deployment.apps/applied configured"))
		w.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {name: pruned}, data: {a: "1", b: "2"}}`)
		w.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {name: pruned}, data: {a: "1"}}`)
		Expect(w.ok("get", "configmap", "pruned", "-o", "jsonpath={.data}")).To(Equal(`{"a":"1"}`))
	})

	It("applies on the server's side, with owners and conflicts", func() {
		one := `{apiVersion: v1, kind: ConfigMap, metadata: {name: shared}, data: {a: "1"}}`
		two := `{apiVersion: v1, kind: ConfigMap, metadata: {name: shared}, data: {b: "2"}}`
		Expect(w.feed(one, "apply", "--server-side", "--field-manager=one", "-f", "-")).To(ContainSubstring("configmap/shared serverside-applied"))
		w.feed(two, "apply", "--server-side", "--field-manager=two", "-f", "-")
		Expect(w.ok("get", "configmap", "shared", "-o", "jsonpath={.data}")).To(Equal(`{"a":"1","b":"2"}`))
		rival := `{apiVersion: v1, kind: ConfigMap, metadata: {name: shared}, data: {a: "3"}}`
		Expect(w.fails(rival, "apply", "--server-side", "--field-manager=two", "-f", "-")).To(ContainSubstring(`Apply failed with 1 conflict: conflict with "one": .data.a`))
		w.feed(rival, "apply", "--server-side", "--field-manager=two", "--force-conflicts", "-f", "-")
		Expect(w.ok("get", "configmap", "shared", "-o", "jsonpath={.data}")).To(Equal(`{"a":"3"}`), "b was given up")
		Expect(w.ok("get", "configmap", "shared", "--show-managed-fields", "-o", "jsonpath={.metadata.managedFields[*].manager}")).To(Equal("two"))
		w.feed(deployment("ssa", 1), "apply", "--server-side", "-f", "-")
		w.ok("scale", "deployment/ssa", "--replicas=2")
		Expect(w.fails(deployment("ssa", 3), "apply", "--server-side", "-f", "-")).To(ContainSubstring(".spec.replicas"))
	})

	It("patches in every way", func() {
		w.apply(deployment("patched", 1))
		w.ok("patch", "deployment", "patched", "-p", `{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"A","value":"1"}]}]}}}}`)
		Expect(w.ok("get", "deployment", "patched", "-o", "jsonpath={.spec.template.spec.containers[0].image} {.spec.template.spec.containers[0].env[0].value}")).To(Equal("example.test/web:1 1"))
		w.ok("patch", "deployment", "patched", "--type=json", `-p=[{"op":"test","path":"/spec/replicas","value":1},{"op":"replace","path":"/spec/replicas","value":2}]`)
		Expect(w.fails("", "patch", "deployment", "patched", "--type=json", `-p=[{"op":"test","path":"/spec/replicas","value":1}]`)).To(ContainSubstring("the server rejected our request due to an error in our request"))
		w.ok("patch", "deployment", "patched", "--type=merge", `-p={"metadata":{"labels":{"x":"y"}},"spec":{"replicas":0}}`)
		Expect(w.ok("get", "deployment", "patched", "-o", "jsonpath={.spec.replicas} {.metadata.labels.x}")).To(Equal("0 y"))
		w.ok("patch", "deployment", "patched", "--subresource=scale", "--type=merge", `-p={"spec":{"replicas":3}}`)
		Expect(w.ok("get", "deployment", "patched", "--subresource=scale", "-o", "jsonpath={.spec.replicas}")).To(Equal("3"))
		w.ok("label", "deployment", "patched", "x-", "z=1")
		w.ok("annotate", "deployment", "patched", "note=here")
		Expect(w.ok("get", "deployment", "-l", "z=1,!x", "-o", "name")).To(Equal("deployment.apps/patched\n"))
		w.ok("replace", "--force", "-f", w.file(deployment("patched", 1)))
	})

	It("waits", func() {
		w.apply(deployment("awaited", 1))
		w.ok("wait", "--for=condition=Available", "deployment/awaited", "--timeout=20s")
		w.ok("wait", "--for=jsonpath={.status.readyReplicas}=1", "deployment/awaited", "--timeout=20s")
		w.ok("wait", "--for=create", "deployment/awaited", "--timeout=20s")
		w.ok("delete", "deployment", "awaited", "--wait=false")
		w.ok("wait", "--for=delete", "deployment/awaited", "--timeout=20s")
		Expect(w.fails("", "wait", "--for=condition=Ready", "pod/never", "--timeout=1s")).To(ContainSubstring(`pods "never" not found`))
	})

	It("creates everything it knows to create", func() {
		k := w.namespace("made")
		for _, args := range [][]string{
			{"configmap", "c", "--from-literal=a=b"}, {"secret", "generic", "s", "--from-literal=a=b"}, {"serviceaccount", "sa"},
			{"secret", "docker-registry", "d", "--docker-username=u", "--docker-password=p"},
			{"deployment", "d", "--image=x", "--replicas=2", "--port=80"}, {"service", "clusterip", "s1", "--tcp=80:80"}, {"service", "nodeport", "s2", "--tcp=80:80"},
			{"service", "externalname", "s3", "--external-name=example.test"}, {"role", "r", "--verb=get", "--resource=pods"},
			{"rolebinding", "rb", "--role=r", "--serviceaccount=made:sa"}, {"quota", "q", "--hard=pods=10"}, {"poddisruptionbudget", "p", "--selector=a=b", "--min-available=1"},
		} {
			Expect(k.ok(append([]string{"create"}, args...)...)).To(ContainSubstring("created"))
		}
		Expect(k.ok("run", "once", "--image=x", "--restart=Never", "--labels=run=once")).To(ContainSubstring("pod/once created"))
		Expect(k.ok("get", "svc", "s3")).To(MatchRegexp(`s3 +ExternalName +<none> +example\.test`))
		Expect(k.ok("get", "secret", "s")).To(MatchRegexp(`NAME +TYPE +DATA +AGE\ns +Opaque +1`))
		Expect(k.ok("get", "configmap,serviceaccount,role,rolebinding,pdb,quota")).To(And(ContainSubstring("configmap/c"), ContainSubstring("poddisruptionbudget.policy/p")))
		for _, kind := range []string{"deployment/d", "svc/s1", "sa/sa", "role/r", "rolebinding/rb", "secret/s", "cm/c", "quota/q", "pdb/p", "namespace/made"} {
			Expect(k.ok("describe", kind)).To(ContainSubstring("Name:"), kind)
		}
	})

	It("reads its samples and the server's own objects", func() {
		Expect(w.ok("get", "svc", "kubernetes", "-o", "jsonpath={.spec.clusterIP}")).To(Equal("10.96.0.1"))
		Expect(w.ok("get", "ns", "-o", "name")).To(And(ContainSubstring("namespace/kube-system"), ContainSubstring("namespace/kube-public"), ContainSubstring("namespace/kube-node-lease"), ContainSubstring("namespace/default")))
		Expect(w.ok("get", "clusterroles", "-o", "name")).To(And(ContainSubstring("/cluster-admin"), ContainSubstring("/view"), ContainSubstring("/system:node")))
		Expect(w.ok("get", "leases", "-n", "kube-node-lease", "-o", "name")).To(ContainSubstring("lease.coordination.k8s.io/"))
		Expect(w.ok("get", "--raw", "/readyz?verbose")).To(ContainSubstring("readyz check passed"))
		Expect(w.ok("get", "--raw", "/metrics")).To(ContainSubstring("apiserver_request_total"))
	})

	It("reports a missing object in kubectl's words", func() {
		Expect(w.fails("", "get", "pod", "nobody")).To(Equal("Error from server (NotFound): pods \"nobody\" not found\n"))
		Expect(w.fails("", "get", "boats")).To(Equal("error: the server doesn't have a resource type \"boats\"\n"))
		w.apply(pod("twice"))
		Expect(w.fails(pod("twice"), "create", "-f", "-")).To(ContainSubstring(`Error from server (AlreadyExists): error when creating "STDIN": pods "twice" already exists`))
		Expect(w.fails("", "logs", "twice")).To(ContainSubstring("simulated"))
	})
})

// file writes a manifest for commands that take only files.
func (w world) file(manifest string) string {
	GinkgoHelper()
	path := filepath.Join(GinkgoTB().TempDir(), "manifest.yaml")
	Expect(os.WriteFile(path, []byte(manifest), 0o600)).To(Succeed())
	return path
}
