//go:build linux

package session

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// deployment returns a manifest of quick pods, none of which waits to end.
func deployment(name string, replicas int) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: %[2]d
  selector: {matchLabels: {app: %[1]s}}
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: web, image: "coracle.dev/sample:v1"}]
`, name, replicas)
}

// rolledOut waits for a Deployment as a user does.
func (w *workspace) rolledOut(name string) {
	GinkgoHelper()
	w.do("rollout", "status", "deployment/"+name, "--timeout=30s")
}

var _ = Describe("workloads", Ordered, ContinueOnFailure, func() {
	var w *workspace
	BeforeAll(func() {
		w = daily.workspace("workloads")
		for _, name := range []string{"web", "background", "foreground", "orphan"} {
			w.apply(deployment(name, 2))
		}
		w.rolledOut("web")
	})

	It("are scaled up and down", func() {
		w.do("scale", "deployment/web", "--replicas=4")
		w.rolledOut("web")
		Expect(w.pods("web")).To(HaveLen(4))
		w.do("scale", "deployment/web", "--replicas=2")
		Eventually(func() []corev1.Pod { return w.pods("web") }).Should(HaveLen(2), "two pods left")
	})

	It("replace a deleted pod", func() {
		old := w.pods("web")[0].Name
		w.do("delete", "pod", old)
		w.rolledOut("web")
		Expect(names(w.pods("web"))).To(SatisfyAll(HaveLen(2), Not(ContainElement(old))))
	})

	It("roll to another image and back", func() {
		image := func() string {
			return w.do("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].spec.containers[0].image}")
		}
		w.do("set", "image", "deployment/web", "web=coracle.dev/sample:v2")
		w.rolledOut("web")
		Eventually(image).Should(Equal("coracle.dev/sample:v2 coracle.dev/sample:v2"), "all pods of the new image")
		Expect(w.do("rollout", "history", "deployment/web")).To(MatchRegexp(`(?m)^1 .*\n2 `))
		w.do("rollout", "undo", "deployment/web")
		w.rolledOut("web")
		Eventually(image).Should(Equal("coracle.dev/sample:v1 coracle.dev/sample:v1"), "all pods of the old image")
		w.do("rollout", "restart", "deployment/web")
		w.rolledOut("web")
	})

	It("keep the old pods while the new ones cannot start", func() {
		w.do("set", "image", "deployment/web", "web=coracle.dev/no-such-image:v9")
		Eventually(func() string { return w.do("get", "pods", "-l", "app=web") }).Should(MatchRegexp(`ErrImagePull|ImagePullBackOff`))
		Expect(w.do("get", "deployment", "web")).To(MatchRegexp(`(?m)^web +2/2 +1 +2 `))
		w.do("rollout", "undo", "deployment/web")
		w.rolledOut("web")
	})

	gone := func(obj client.Object, name string) {
		GinkgoHelper()
		Eventually(func() bool {
			return apierrors.IsNotFound(w.client.Get(context.Background(), client.ObjectKey{Namespace: w.ns, Name: name}, obj))
		}).Should(BeTrue(), "%T %s is gone", obj, name)
	}
	sets := func(app string) []appsv1.ReplicaSet {
		list := &appsv1.ReplicaSetList{}
		Expect(w.client.List(context.Background(), list, client.InNamespace(w.ns), client.MatchingLabels{"app": app})).To(Succeed())
		return list.Items
	}
	empty := func(app string) {
		GinkgoHelper()
		Eventually(func() int { return len(sets(app)) + len(w.pods(app)) }).Should(BeZero(), "ReplicaSets and pods of %s are gone", app)
	}

	It("go in the background", func() {
		w.rolledOut("background")
		w.do("delete", "deployment", "background")
		gone(&appsv1.Deployment{}, "background")
		empty("background")
	})

	It("go in the foreground, the owner last", func() {
		w.rolledOut("foreground")
		w.do("delete", "deployment", "foreground", "--cascade=foreground", "--wait=false")
		d := &appsv1.Deployment{}
		if w.client.Get(context.Background(), client.ObjectKey{Namespace: w.ns, Name: "foreground"}, d) == nil {
			Expect(d.Finalizers).To(ContainElement(metav1.FinalizerDeleteDependents))
		}
		gone(d, "foreground")
		Expect(sets("foreground")).To(BeEmpty())
		Expect(w.pods("foreground")).To(BeEmpty())
	})

	It("leave their orphans running", func() {
		w.rolledOut("orphan")
		before := names(w.pods("orphan"))
		w.do("delete", "deployment", "orphan", "--cascade=orphan")
		gone(&appsv1.Deployment{}, "orphan")
		Expect(sets("orphan")).To(HaveEach(HaveField("OwnerReferences", BeEmpty())))
		Expect(names(w.pods("orphan"))).To(ConsistOf(before))
		w.apply(deployment("orphan", 2))
		w.rolledOut("orphan")
		Expect(names(w.pods("orphan"))).To(ConsistOf(before), "a new Deployment adopts them")
	})

	It("go with their namespace", func() {
		inner := daily.workspace("leaving")
		inner.apply(deployment("web", 3))
		inner.rolledOut("web")
		ids := containers(inner.pods("web"))
		daily.kubectl("delete", "namespace", "leaving", "--timeout=30s")
		Expect(daily.client.Get(context.Background(), client.ObjectKey{Name: "leaving"}, &corev1.Namespace{})).To(MatchError(apierrors.IsNotFound, "not found"))
		Eventually(daily.processes).ShouldNot(ContainElement(BeElementOf(ids)), "the containers' shims")
		_, err := daily.try(deployment("late", 1), "-n", "leaving", "apply", "-f", "-")
		Expect(err).To(HaveOccurred())
		daily.kubectl("create", "namespace", "leaving")
	})

	It("say why they are not scheduled", func() {
		w.apply(`{apiVersion: v1, kind: Pod, metadata: {name: greedy}, spec: {containers: [{name: c, image: "coracle.dev/sample:v1", resources: {requests: {cpu: "1000"}}}]}}`)
		Eventually(func() string { return w.do("describe", "pod", "greedy") }).Should(ContainSubstring("0/1 nodes are available: 1 Insufficient cpu."))
	})
})
