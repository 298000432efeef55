package controlplane

import (
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// extremes follows the pods of an app by a watch: the most that existed and the
// fewest that were available at once, since full were.
type extremes struct {
	mu           sync.Mutex
	full         int
	pods         map[string]bool
	reached      bool
	most, fewest int
	watcher      watch.Interface
	done         chan struct{}
}

func follow(w world, namespace, app string, full int) *extremes {
	watcher, err := w.Client.Watch(GinkgoTB().Context(), &corev1.PodList{}, client.InNamespace(namespace), client.MatchingLabels{"app": app})
	Expect(err).NotTo(HaveOccurred())
	e := &extremes{full: full, pods: map[string]bool{}, fewest: full, watcher: watcher, done: make(chan struct{})}
	go func() {
		defer close(e.done)
		for event := range watcher.ResultChan() {
			if pod, ok := event.Object.(*corev1.Pod); ok {
				e.note(event.Type, pod)
			}
		}
	}()
	return e
}

func (e *extremes) note(event watch.EventType, pod *corev1.Pod) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if event == watch.Deleted || pod.DeletionTimestamp != nil {
		delete(e.pods, pod.Name)
	} else {
		e.pods[pod.Name] = ready(pod)
	}
	available := 0
	for _, ok := range e.pods {
		if ok {
			available++
		}
	}
	e.reached = e.reached || available >= e.full
	if e.reached {
		e.most, e.fewest = max(e.most, len(e.pods)), min(e.fewest, available)
	}
}

// stop ends the watch and returns what it saw.
func (e *extremes) stop() (most, fewest int) {
	e.watcher.Stop()
	<-e.done
	return e.most, e.fewest
}

func (e *extremes) began() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.reached
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

var _ = Describe("a rollout", Ordered, func() {
	var w world
	BeforeAll(func() { w = begin() })

	DescribeTable("keeps to its bounds", func(name, surge, unavailable string, most, fewest int) {
		w.apply(deployment(name, 4, "strategy: {rollingUpdate: {maxSurge: "+surge+", maxUnavailable: "+unavailable+"}}"))
		w.ok("rollout", "status", "deployment/"+name, "--timeout=30s")
		seen := follow(w, "default", name, 4)
		Eventually(seen.began).Should(BeTrue(), "the watch has seen 4 available pods")
		w.ok("set", "image", "deployment/"+name, "web=example.test/web:2")
		w.ok("rollout", "status", "deployment/"+name, "--timeout=30s")
		gotMost, gotFewest := seen.stop()
		Expect(gotMost).To(BeNumerically("<=", most), "pods at once")
		Expect(gotFewest).To(BeNumerically(">=", fewest), "available pods at once")
	},
		Entry("one more", "surge", "1", "0", 5, 4),
		Entry("one fewer", "fewer", "0", "1", 4, 3),
		Entry("percentages, rounded up and down", "percent", "30%", "30%", 6, 3),
		Entry("the defaults of 25%", "quarter", "25%", "25%", 5, 3),
	)

	It("recreates: no new pod before the last old one is gone", func() {
		w.apply(deployment("again", 3, "strategy: {type: Recreate}"))
		w.ok("rollout", "status", "deployment/again", "--timeout=30s")
		seen := follow(w, "default", "again", 3)
		Eventually(seen.began).Should(BeTrue(), "the watch has seen 3 available pods")
		w.ok("set", "image", "deployment/again", "web=example.test/web:2")
		w.ok("rollout", "status", "deployment/again", "--timeout=30s")
		most, fewest := seen.stop()
		Expect(most).To(Equal(3))
		Expect(fewest).To(BeZero())
	})

	It("waits for minReadySeconds", func() {
		w.apply(deployment("slow", 1, "minReadySeconds: 2"))
		Eventually(func(g Gomega) {
			var d appsv1.Deployment
			w.get(&d, "default", "slow")
			g.Expect(d.Status.ReadyReplicas).To(BeEquivalentTo(1))
			g.Expect(d.Status.AvailableReplicas).To(BeZero())
		}).Should(Succeed(), "the pod is ready and not yet available")
		w.ok("rollout", "status", "deployment/slow", "--timeout=30s")
	})

	It("says that it does not progress", func() {
		w.apply(deployment("stuck", 1, "progressDeadlineSeconds: 1"))
		w.ok("rollout", "status", "deployment/stuck", "--timeout=30s")
		w.ok("patch", "deployment", "stuck", "-p", `{"spec":{"template":{"spec":{"nodeSelector":{"no":"where"}}}}}`)
		Expect(w.fails("", "rollout", "status", "deployment/stuck", "--timeout=30s")).To(ContainSubstring(`deployment "stuck" exceeded its progress deadline`))
	})
})
