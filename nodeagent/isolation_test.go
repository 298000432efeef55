//go:build linux

package nodeagent_test

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/nodeagent/containers"
)

// event waits for one that has a text.
func (n *node) event(text string) {
	n.t.Helper()
	var seen []string
	n.eventually(func(g Gomega) {
		for {
			select {
			case e := <-n.events.Events:
				seen = append(seen, e)
				continue
			default:
			}
			break
		}
		g.Expect(seen).To(ContainElement(ContainSubstring(text)))
	})
}

// What cannot be honoured is refused, and the container does not start.
func TestIsolationIsRefused(t *testing.T) {
	claim := func(name string, results ...resourcev1.DeviceRequestAllocationResult) *resourcev1.ResourceClaim {
		return &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
			Status: resourcev1.ResourceClaimStatus{Allocation: &resourcev1.AllocationResult{Devices: resourcev1.DeviceAllocationResult{Results: results}}}}
	}
	claiming := func(name string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "c", ResourceClaimName: &name}}
		}
	}
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		event  string
	}{
		"class without an object": {func(p *corev1.Pod) { p.Spec.RuntimeClassName = ptr.To("gone") },
			`Warning FailedCreatePodSandBox Failed to create pod sandbox: failed to get RuntimeClass "gone"`},
		"handler that the runtime lacks": {func(p *corev1.Pod) { p.Spec.RuntimeClassName = ptr.To("sandboxed") },
			`Warning FailedCreatePodSandBox Failed to create pod sandbox: no runtime for "runsc" is configured`},
		"device without its driver": {claiming("device"),
			`Warning FailedPrepareDynamicResources Failed to prepare dynamic resources: prepare dynamic resources: DRA driver gpu.example.com is not registered`},
		"claim that is gone": {claiming("gone"),
			`Warning FailedPrepareDynamicResources Failed to prepare dynamic resources: prepare dynamic resources: fetch ResourceClaim default/gone`},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			n := run(t)
			g.Expect(n.api.Create(t.Context(), &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "sandboxed"}, Handler: "runsc"})).To(Succeed())
			g.Expect(n.api.Create(t.Context(), claim("device", resourcev1.DeviceRequestAllocationResult{Driver: "gpu.example.com"}))).To(Succeed())
			g.Expect(n.api.Create(t.Context(), claim("empty"))).To(Succeed())
			n.create(pod("a", c.change))
			n.event(c.event)
			g.Expect(n.runtime.Running()).To(BeEmpty())
			n.create(pod("fine", claiming("empty")))
			n.becomesReady("fine")
		})
	}
	if containers.HasAppArmor() {
		return
	}
	n := run(t)
	n.create(pod("confined", func(p *corev1.Pod) {
		p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{AppArmorProfile: &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeRuntimeDefault}}
	}))
	n.eventually(func(g Gomega) {
		p := n.get(g, "confined")
		g.Expect(p.Status.Reason).To(Equal("AppArmor"))
		g.Expect(p.Status.Message).To(Equal("Pod was rejected: Cannot enforce AppArmor: AppArmor is not enabled on the host"))
	})
}
