//go:build linux

package nodeagent_test

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func requesting(cpu string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	}
}

// has waits until a pod's container has been given a CPU request.
func (n *node) has(name, cpu string) {
	n.t.Helper()
	n.eventually(func(g Gomega) {
		statuses := n.get(g, name).Status.ContainerStatuses
		g.Expect(statuses).To(HaveLen(1))
		g.Expect(statuses[0].Resources).NotTo(BeNil())
		g.Expect(statuses[0].Resources.Requests.Cpu().String()).To(Equal(cpu))
		g.Expect(statuses[0].AllocatedResources.Cpu().String()).To(Equal(cpu))
	})
}

func (n *node) rejected(name, message string) {
	n.t.Helper()
	n.eventually(func(g Gomega) { g.Expect(n.get(g, name).Status.Message).To(HaveSuffix(message)) })
}

// A pod that came while no agent ran is admitted beside those that run.
func TestAdoptedPodsHold(t *testing.T) {
	n := run(t)
	n.create(pod("before", requesting("1500m")))
	n.becomesReady("before")
	n.stop()
	n.create(pod("meanwhile", requesting("1")))
	n.start()
	n.rejected("meanwhile", "cpu, requested: 1000, used: 1500, capacity: 2000")
	n.create(pod("small", requesting("500m")))
	n.becomesReady("small")
}

func TestResizeOutlivesTheAgent(t *testing.T) {
	g := NewWithT(t)
	n := run(t)
	n.create(pod("resized", requesting("1500m")))
	n.becomesReady("resized")
	g.Expect(n.api.UpdatePod(t.Context(), "resized", requesting("500m"))).To(Succeed())
	n.has("resized", "500m")
	g.Expect(n.runtime.Count("UpdateContainerResources")).To(Equal(1))
	n.stop()
	n.create(pod("meanwhile", requesting("1500m")))
	n.start()
	n.becomesReady("meanwhile")
	n.create(pod("more", requesting("100m")))
	n.rejected("more", "cpu, requested: 100, used: 2000, capacity: 2000")
	n.has("resized", "500m")
	g.Expect(n.runtime.Count("UpdateContainerResources")).To(Equal(1), "it has what it was given")
}

func TestDeferredResizeOutlivesTheAgent(t *testing.T) {
	g := NewWithT(t)
	n := run(t)
	n.create(pod("big", requesting("1500m")))
	n.create(pod("grows", requesting("500m")))
	n.becomesReady("big")
	n.becomesReady("grows")
	pending := func(g Gomega) {
		var reasons []string
		for _, c := range n.get(g, "grows").Status.Conditions {
			if c.Type == corev1.PodResizePending {
				reasons = append(reasons, c.Reason)
			}
		}
		g.Expect(reasons).To(Equal([]string{corev1.PodReasonDeferred}))
	}
	g.Expect(n.api.UpdatePod(t.Context(), "grows", requesting("1"))).To(Succeed())
	n.eventually(pending)
	n.stop()
	n.start()
	n.create(pod("more", requesting("100m")))
	n.rejected("more", "cpu, requested: 100, used: 2000, capacity: 2000")
	n.eventually(pending)
	n.has("grows", "500m")
	g.Expect(n.api.Delete(t.Context(), n.get(g, "big"))).To(Succeed())
	n.has("grows", "1")
}

// What was granted is unknown after a torn file: the runtime's word counts.
func TestResizeWithADamagedRecord(t *testing.T) {
	n := run(t)
	n.create(pod("before", requesting("1500m")))
	n.becomesReady("before")
	n.stop()
	damageRecords(t, n.config.RootDir)
	n.create(pod("meanwhile", requesting("1")))
	n.start()
	n.rejected("meanwhile", "cpu, requested: 1000, used: 1500, capacity: 2000")
}

// damageRecords truncates the records of all pods.
func damageRecords(t *testing.T, root string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "pods", "*", "allocation.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("records of pods: %v, %v", files, err)
	}
	for _, f := range files {
		if err := os.Truncate(f, 5); err != nil {
			t.Fatal(err)
		}
	}
}
