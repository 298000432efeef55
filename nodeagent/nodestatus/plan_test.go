package nodestatus

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestStatusChangesOnlyWhenSomethingDoes(t *testing.T) {
	g := NewWithT(t)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	d := Desired{Capacity: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}}
	d.Allocatable = Allocatable(d.Capacity, corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m")})
	status, changed := Status(corev1.NodeStatus{}, d, now)
	g.Expect(changed).To(BeTrue())
	g.Expect(status.Allocatable.Cpu().String()).To(Equal("1500m"))

	later, changed := Status(status, d, now.Add(time.Minute))
	g.Expect(changed).To(BeFalse())
	g.Expect(later.Conditions[3].LastHeartbeatTime.Time).To(Equal(now.Add(time.Minute)))
	g.Expect(later.Conditions[3].LastTransitionTime.Time).To(Equal(now))

	d.Health.Problem = "container runtime is down"
	down, changed := Status(later, d, now.Add(2*time.Minute))
	g.Expect(changed).To(BeTrue())
	g.Expect(down.Conditions[3].Status).To(Equal(corev1.ConditionFalse))
	g.Expect(down.Conditions[3].Reason).To(Equal("KubeletNotReady"))
	g.Expect(down.Conditions[3].LastTransitionTime.Time).To(Equal(now.Add(2 * time.Minute)))
}

func TestWhatOthersAdvertiseStays(t *testing.T) {
	const gpu, fpga = corev1.ResourceName("example.com/gpu"), corev1.ResourceName("example.com/fpga")
	own := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}
	list := func(name corev1.ResourceName, n string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: own[corev1.ResourceCPU], name: resource.MustParse(n)}
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct{ capacity, allocatable, want corev1.ResourceList }{
		"advertised":        {list(gpu, "5"), list(gpu, "5"), list(gpu, "5")},
		"capacity alone":    {list(gpu, "5"), own, list(gpu, "5")},
		"capacity is gone":  {own, list(gpu, "5"), own},
		"other resource":    {list(fpga, "1"), list(gpu, "5"), list(fpga, "1")},
		"ours, not so many": {corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("64")}, nil, own},
		"native, not ours":  {list("hugepages-2Mi", "64Mi"), list("hugepages-2Mi", "64Mi"), own},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			before, _ := Status(corev1.NodeStatus{}, Desired{Capacity: own, Allocatable: own}, now)
			before.Capacity, before.Allocatable = c.capacity, c.allocatable
			after, changed := Status(before, Desired{Capacity: own, Allocatable: own}, now)
			g.Expect(after.Allocatable).To(Equal(c.want))
			g.Expect(after.Capacity).To(Equal(c.want))
			g.Expect(changed).To(Equal(name != "advertised"))
		})
	}
}
