package controllers

import (
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// pace is how old what a reconcile knows may be on a busy machine.
const pace = 2 * time.Second

// history is which pods of a set were ready, as the cache of the controllers saw it.
type history struct {
	mu     sync.Mutex
	ready  map[string]bool
	states []state
	// broken are deletions of ready pods although none was affordable for a pace.
	broken []string
	lost   int // ready pods that were deleted
}

type state struct {
	at    time.Time
	ready int
}

// see notes a pod, deleted or as it is now. most of total pods may be unavailable.
func (h *history) see(pod *corev1.Pod, deleted bool, total, most int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	was := h.ready[pod.Name]
	if deleted && was {
		h.lost++
		affordable := false
		for i, s := range h.states {
			until := now
			if i+1 < len(h.states) {
				until = h.states[i+1].at
			}
			affordable = affordable || total-s.ready < most && now.Sub(until) < pace
		}
		if !affordable {
			h.broken = append(h.broken, pod.Name)
		}
	}
	delete(h.ready, pod.Name)
	for _, c := range pod.Status.Conditions {
		if !deleted && c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			h.ready[pod.Name] = true
		}
	}
	h.states = append(h.states, state{now, len(h.ready)})
}

// TestStatefulSetKeepsItsBudget plays the nodes of a set whose pods lose and get
// their readiness at random while it is updated: no ready pod is deleted while
// maxUnavailable pods have been unavailable.
func TestStatefulSetKeepsItsBudget(t *testing.T) {
	const total, most = 6, 2
	m := start(t, 0)
	h := &history{ready: map[string]bool{}}
	informer, err := m.Cluster.Cache().GetInformer(t.Context(), &corev1.Pod{})
	m.Expect(err).NotTo(HaveOccurred())
	note := func(deleted bool) func(any) {
		return func(obj any) {
			if gone, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			h.see(obj.(*corev1.Pod), deleted, total, most)
		}
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{AddFunc: note(false), UpdateFunc: func(_, obj any) { note(false)(obj) }, DeleteFunc: note(true)})
	m.Expect(err).NotTo(HaveOccurred())

	s := statefulSet("budget", total)
	s.Spec.PodManagementPolicy = appsv1.ParallelPodManagement
	s.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{MaxUnavailable: ptr.To(intstr.FromInt32(most))}
	m.Expect(m.Client.Create(t.Context(), s)).To(Succeed())
	r := rand.New(rand.NewPCG(1, 2))
	for _, image := range []string{"x", "y", "z"} {
		edit(m, s, func(s *appsv1.StatefulSet) { s.Spec.Template.Spec.Containers[0].Image = image })
		m.Eventually(func() bool {
			m.playNodes(r)
			m.Expect(m.get(s, "default", "budget")).To(Succeed())
			return s.Status.ObservedGeneration == s.Generation && s.Status.UpdatedReplicas == total && s.Status.CurrentRevision == s.Status.UpdateRevision
		}, "60s").Should(BeTrue(), "the set is updated to %s", image)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	m.Expect(h.broken).To(BeEmpty(), "%v", maps.Collect(maps.All(h.ready)))
	m.Expect(h.lost).To(BeNumerically(">", 0), "ready pods were replaced")
}

// playNodes makes one pod after the other run, ready or, one in four, not ready.
func (m moving) playNodes(r *rand.Rand) {
	var pods corev1.PodList
	m.Expect(m.Client.List(m.t.Context(), &pods, client.InNamespace("default"))).To(Succeed())
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Status.Phase == corev1.PodRunning && r.IntN(3) > 0 {
			continue
		}
		is := corev1.ConditionTrue
		if r.IntN(4) == 0 {
			is = corev1.ConditionFalse
		}
		pod.Status.Phase = corev1.PodRunning
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: is, LastTransitionTime: metav1.NewTime(m.clock.Now())}}
		if err := m.Client.Status().Update(m.t.Context(), pod); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			m.Expect(err).NotTo(HaveOccurred())
		}
	}
}
