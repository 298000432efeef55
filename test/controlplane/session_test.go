package controlplane

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("a user's session", Ordered, func() {
	var w world

	BeforeAll(func() { w = begin() })

	pods := func(app string) []corev1.Pod {
		var list corev1.PodList
		w.list(&list, "default", client.MatchingLabels{"app": app})
		return list.Items
	}

	It("applies the sample and waits for its rollout", func() {
		out := w.ok("apply", "-f", repository("config", "samples", "hello.yaml"))
		Expect(out).To(ContainSubstring("deployment.apps/hello created"))
		Expect(out).To(ContainSubstring("service/hello-nodeport created"))
		Expect(w.ok("rollout", "status", "deployment/hello", "--timeout=30s")).To(ContainSubstring(`deployment "hello" successfully rolled out`))
		Expect(pods("hello")).To(HaveLen(3))
	})

	It("lists what it made as users know it", func() {
		Expect(w.ok("get", "deployment", "hello")).To(MatchRegexp(`NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nhello +3/3 +3 +3 +\d+`))
		Expect(w.ok("get", "deployment", "hello", "-o", "wide")).To(MatchRegexp(`CONTAINERS +IMAGES +SELECTOR\n.* web +coracle.dev/sample:v1 +app=hello`))
		Expect(w.ok("get", "pods", "-o", "wide")).To(MatchRegexp(`NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES\nhello-\S+ +1/1 +Running +0 +\S+ +10\.\d+\.\d+\.\d+ +\S+ +<none> +<none>`))
		Expect(w.ok("get", "rs")).To(MatchRegexp(`NAME +DESIRED +CURRENT +READY +AGE\nhello-\S+ +3 +3 +3`))
		Expect(w.ok("get", "svc", "hello-nodeport")).To(MatchRegexp(`NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE\nhello-nodeport +NodePort +10\.96\.\d+\.\d+ +<none> +80:30080/TCP`))
		Expect(w.ok("get", "nodes")).To(MatchRegexp(`NAME +STATUS +ROLES +AGE +VERSION\n\S+ +Ready +\S+ +\S+ +v1\.`))
		Expect(w.ok("get", "all")).To(And(ContainSubstring("pod/hello-"), ContainSubstring("service/hello"), ContainSubstring("deployment.apps/hello"), ContainSubstring("replicaset.apps/hello-")))
		Expect(w.ok("get", "configmap", "hello", "-o", "jsonpath={.data.message}")).To(Equal("hello"))
	})

	It("has endpoints for the pods", func() {
		addresses := func() sets.Set[string] {
			var slices discoveryv1.EndpointSliceList
			w.list(&slices, "default", client.MatchingLabels{discoveryv1.LabelServiceName: "hello"})
			found := sets.New[string]()
			for _, s := range slices.Items {
				for _, e := range s.Endpoints {
					found.Insert(e.Addresses...)
				}
			}
			return found
		}
		want := sets.New[string]()
		for _, p := range pods("hello") {
			want.Insert(p.Status.PodIP)
		}
		Eventually(addresses).Should(Equal(want), "the service's EndpointSlices have all pods")
		Eventually(func() string { return w.ok("get", "endpoints", "hello") }).Should(MatchRegexp(`hello +10\.\S+:8080,10\.\S+:8080,10\.\S+:8080`), "its Endpoints, too")
	})

	It("describes objects with their events", func() {
		pod := pods("hello")[0].Name
		Expect(w.ok("describe", "pod", pod)).To(And(
			ContainSubstring("Controlled By:  ReplicaSet/hello-"),
			MatchRegexp(`Normal +Scheduled +\S+ +default-scheduler +Successfully assigned default/`+pod)))
		Expect(w.ok("describe", "deployment", "hello")).To(And(
			ContainSubstring("Replicas:               3 desired | 3 updated | 3 total | 3 available | 0 unavailable"),
			ContainSubstring("ScalingReplicaSet")))
		Expect(w.ok("describe", "svc", "hello-nodeport")).To(ContainSubstring("30080/TCP"))
		Expect(w.ok("describe", "node")).To(ContainSubstring("Non-terminated Pods:"))
		Expect(w.ok("get", "events")).To(And(ContainSubstring("SuccessfulCreate"), ContainSubstring("ScalingReplicaSet"), ContainSubstring("Scheduled")))
		Expect(w.ok("events", "--for", "deployment/hello")).To(ContainSubstring("ScalingReplicaSet"))
	})

	It("scales", func() {
		w.ok("scale", "deployment/hello", "--replicas=5")
		w.ok("rollout", "status", "deployment/hello", "--timeout=30s")
		Expect(pods("hello")).To(HaveLen(5))
		Expect(w.fails("", "scale", "deployment/hello", "--replicas=1", "--current-replicas=4")).To(ContainSubstring("Expected replicas to be 4, was 5"))
		w.ok("scale", "deployment/hello", "--replicas=3")
		Eventually(func() int { return len(pods("hello")) }).Should(Equal(3), "two pods go")
	})

	It("rolls a new image out and back", func() {
		w.ok("set", "image", "deployment/hello", "web=coracle.dev/sample:v2")
		w.ok("rollout", "status", "deployment/hello", "--timeout=30s")
		images := func() sets.Set[string] {
			found := sets.New[string]()
			for _, p := range pods("hello") {
				if p.DeletionTimestamp == nil {
					found.Insert(p.Spec.Containers[0].Image)
				}
			}
			return found
		}
		Expect(images()).To(Equal(sets.New("coracle.dev/sample:v2")))
		Expect(w.ok("rollout", "history", "deployment/hello")).To(MatchRegexp(`REVISION +CHANGE-CAUSE\n1 +<none>\n2 +<none>`))
		Expect(w.ok("rollout", "history", "deployment/hello", "--revision=2")).To(ContainSubstring("coracle.dev/sample:v2"))
		Expect(w.ok("rollout", "undo", "deployment/hello")).To(ContainSubstring("rolled back"))
		w.ok("rollout", "status", "deployment/hello", "--timeout=30s")
		Expect(images()).To(Equal(sets.New("coracle.dev/sample:v1")))
		Expect(w.ok("rollout", "history", "deployment/hello")).To(MatchRegexp(`2 +<none>\n3 +<none>`))
		var sets appsv1.ReplicaSetList
		w.list(&sets, "default")
		Expect(sets.Items).To(HaveLen(2), "going back takes the old ReplicaSet again")
	})

	It("restarts, pauses and resumes", func() {
		w.ok("rollout", "restart", "deployment/hello")
		w.ok("rollout", "status", "deployment/hello", "--timeout=30s")
		w.ok("rollout", "pause", "deployment/hello")
		w.ok("set", "env", "deployment/hello", "EXTRA=1")
		Expect(w.fails("", "rollout", "undo", "deployment/hello")).To(ContainSubstring("paused"))
		var d appsv1.Deployment
		Eventually(func(g Gomega) {
			w.get(&d, "default", "hello")
			g.Expect(d.Status.ObservedGeneration).To(Equal(d.Generation))
			g.Expect(d.Status.UpdatedReplicas).To(BeZero())
		}).Should(Succeed(), "a paused Deployment is observed and not rolled out")
		w.ok("rollout", "resume", "deployment/hello")
		w.ok("rollout", "status", "deployment/hello", "--timeout=30s")
	})

	It("replaces a deleted pod", func() {
		gone := pods("hello")[0]
		w.ok("delete", "pod", gone.Name)
		Eventually(func(g Gomega) {
			found := pods("hello")
			g.Expect(found).To(HaveLen(3))
			for _, p := range found {
				g.Expect(p.UID).NotTo(Equal(gone.UID))
				g.Expect(p.Status.Phase).To(Equal(corev1.PodRunning))
			}
		}).Should(Succeed(), "another pod runs in its place")
	})

	It("deletes the sample and everything made for it", func() {
		w.ok("delete", "-f", repository("config", "samples", "hello.yaml"))
		for _, kind := range []string{"pods", "rs", "endpointslices", "endpoints"} {
			Eventually(func() string {
				return strings.TrimSpace(w.ok("get", kind, "-o", "name", "-l", "app=hello"))
			}).Should(BeEmpty(), "%s are gone", kind)
		}
	})

	DescribeTable("deletes a deployment", func(how string, check func(name string)) {
		name := "cascade-" + how
		w.apply(deployment(name, 2))
		w.ok("rollout", "status", "deployment/"+name, "--timeout=30s")
		w.ok("delete", "deployment", name, "--cascade="+how)
		check(name)
	},
		Entry("in the foreground: dependents are gone when it is", "foreground", func(name string) {
			Expect(pods(name)).To(BeEmpty())
			Expect(w.ok("get", "rs", "-l", "app="+name, "-o", "name")).To(BeEmpty())
		}),
		Entry("in the background: dependents go after it", "background", func(name string) {
			Eventually(func() int { return len(pods(name)) }).Should(BeZero(), "the pods are collected")
			Eventually(func() string { return w.ok("get", "rs", "-l", "app="+name, "-o", "name") }).Should(BeEmpty(), "the ReplicaSet is collected")
		}),
		Entry("and orphans: dependents stay, and a new one adopts them", "orphan", func(name string) {
			kept := sets.New[string]()
			for _, p := range pods(name) {
				kept.Insert(string(p.UID))
			}
			Expect(kept).To(HaveLen(2))
			var list appsv1.ReplicaSetList
			w.list(&list, "default", client.MatchingLabels{"app": name})
			Expect(list.Items).To(HaveLen(1))
			Expect(list.Items[0].OwnerReferences).To(BeEmpty())
			w.apply(deployment(name, 2))
			w.ok("rollout", "status", "deployment/"+name, "--timeout=30s")
			for _, p := range pods(name) {
				Expect(kept.Has(string(p.UID))).To(BeTrue(), "pod %s is one of the old ones", p.Name)
			}
			Eventually(func() int {
				w.list(&list, "default", client.MatchingLabels{"app": name})
				return len(list.Items[0].OwnerReferences)
			}).Should(Equal(1), "the ReplicaSet has an owner again")
			w.ok("delete", "deployment", name)
		}),
	)

	It("creates and deletes a namespace with all that is in it", func() {
		k := w.namespace("full")
		k.apply(deployment("web", 3))
		k.ok("create", "configmap", "kept", "--from-literal=a=b")
		k.ok("expose", "deployment/web", "--port=80")
		k.ok("rollout", "status", "deployment/web", "--timeout=30s")
		Expect(k.ok("get", "serviceaccount", "default", "-o", "name")).To(Equal("serviceaccount/default\n"))
		Expect(k.ok("get", "configmap", "kube-root-ca.crt", "-o", "jsonpath={.data.ca\\.crt}")).To(HavePrefix("-----BEGIN CERTIFICATE-----"))
		w.ok("delete", "namespace", "full", "--timeout=30s")
		Expect(w.fails("", "get", "namespace", "full")).To(ContainSubstring(`namespaces "full" not found`))
		for _, kind := range []string{"pods", "deployments", "rs", "configmaps", "services", "endpoints", "endpointslices", "serviceaccounts"} {
			Expect(k.ok("get", kind, "-o", "name")).To(BeEmpty(), kind)
		}
	})

	It("refuses new objects in a namespace that goes", func() {
		k := w.namespace("going")
		k.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {name: held, finalizers: [example.test/hold]}}`)
		w.ok("delete", "namespace", "going", "--wait=false")
		Eventually(func() string { return k.fails("", "create", "configmap", "late") }).Should(
			ContainSubstring(`configmaps "late" is forbidden: unable to create new content in namespace going because it is being terminated`))
		Eventually(func() string {
			return w.ok("get", "namespace", "going", "-o", `jsonpath={.status.conditions[?(@.type=="NamespaceFinalizersRemaining")].message}`)
		}).Should(Equal("Some content in the namespace has finalizers remaining: example.test/hold in 1 resource instances"))
		k.ok("patch", "configmap", "held", "--type=json", `-p=[{"op":"remove","path":"/metadata/finalizers"}]`)
		w.ok("wait", "--for=delete", "namespace/going", "--timeout=30s")
	})

	It("runs more replicas than a page", func() {
		w.apply(deployment("many", 100))
		w.ok("rollout", "status", "deployment/many", "--timeout=60s")
		Expect(strings.Count(w.ok("get", "pods", "-l", "app=many", "--chunk-size=7", "-o", "name"), "\n")).To(Equal(100))
		w.ok("delete", "deployment", "many", "--cascade=foreground")
		Expect(fmt.Sprint(len(pods("many")))).To(Equal("0"))
	})
})
