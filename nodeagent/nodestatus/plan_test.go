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
