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

// extremes follows an app by watches, since all of its pods were available: the
// most pods that existed and the most that its ReplicaSets asked for at once,
// and the fewest that were available.
//
// maxSurge bounds what is asked for: a ReplicaSet may be a moment late in
// deleting, and the next one need not wait for it.
type extremes struct {
	mu       sync.Mutex
	full     int
	pods     map[string]bool
	sets     map[string]int
	reached  bool
	pending  sync.WaitGroup
	watchers []watch.Interface

	mostPods, mostAsked, fewest int
}

func follow(w world, namespace, app string, full int) *extremes {
	e := &extremes{full: full, pods: map[string]bool{}, sets: map[string]int{}, fewest: full}
	for _, list := range []client.ObjectList{&appsv1.ReplicaSetList{}, &corev1.PodList{}} {
		watcher, err := w.Client.Watch(GinkgoTB().Context(), list, client.InNamespace(namespace), client.MatchingLabels{"app": app})
		Expect(err).NotTo(HaveOccurred())
		e.watchers = append(e.watchers, watcher)
		e.pending.Add(1)
		go func() {
			defer e.pending.Done()
			for event := range watcher.ResultChan() {
				switch obj := event.Object.(type) {
				case *corev1.Pod:
					e.note(event.Type, obj)
				case *appsv1.ReplicaSet:
					e.ask(event.Type, obj)
				}
			}
		}()
	}
	return e
}

func (e *extremes) ask(event watch.EventType, set *appsv1.ReplicaSet) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sets[set.Name] = int(*set.Spec.Replicas)
	if event == watch.Deleted {
		delete(e.sets, set.Name)
	}
	sum := 0
	for _, n := range e.sets {
		sum += n
	}
	e.mostAsked = max(e.mostAsked, sum)
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
		e.mostPods, e.fewest = max(e.mostPods, len(e.pods)), min(e.fewest, available)
	}
}

// stop ends the watches; what they saw may be read then.
func (e *extremes) stop() {
	for _, w := range e.watchers {
		w.Stop()
	}
	e.pending.Wait()
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
		seen.stop()
		Expect(seen.mostAsked).To(BeNumerically("<=", most), "pods asked for at once")
		Expect(seen.fewest).To(BeNumerically(">=", fewest), "available pods at once")
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
		seen.stop()
		Expect(seen.mostPods).To(Equal(3))
		Expect(seen.fewest).To(BeZero())
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

	It("reports that it does not progress", func() {
		w.apply(deployment("stuck", 1, "progressDeadlineSeconds: 1"))
		w.ok("rollout", "status", "deployment/stuck", "--timeout=30s")
		w.ok("patch", "deployment", "stuck", "-p", `{"spec":{"template":{"spec":{"nodeSelector":{"no":"where"}}}}}`)
		Expect(w.fails("", "rollout", "status", "deployment/stuck", "--timeout=30s")).To(ContainSubstring(`deployment "stuck" exceeded its progress deadline`))
	})
})
