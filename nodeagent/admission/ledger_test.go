package admission

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func asking(cpu string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Name: "c", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}},
	}}}}
}

func TestLedger(t *testing.T) {
	g := NewWithT(t)
	var ledger Ledger
	node := Node{Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourcePods: resource.MustParse("3")}}
	one, two, three := ledger.NewShare(), ledger.NewShare(), ledger.NewShare()
	g.Expect(one.Take(asking("3"), node)).To(BeNil())
	f := two.Take(asking("2"), node)
	g.Expect(f.Reason).To(Equal("OutOfcpu"))
	g.Expect(Reason(f)).To(Equal("Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000"))
	g.Expect(two.Take(asking("1"), node)).To(BeNil())

	why, infeasible := two.Resize(asking("2"), node)
	g.Expect([]any{why, infeasible}).To(Equal([]any{"Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000", false}))
	why, infeasible = two.Resize(asking("5"), node)
	g.Expect([]any{why, infeasible}).To(Equal([]any{"Node didn't have enough resource: cpu, requested: 5000, used: 0, capacity: 4000", true}))
	g.Expect(three.Take(asking("500m"), node)).NotTo(BeNil(), "two holds what it held before")

	g.Expect(one.Release()).To(BeTrue())
	g.Expect(one.Release()).To(BeFalse(), "it holds nothing any more")
	why, _ = two.Resize(asking("2"), node)
	g.Expect(why).To(BeEmpty())
	g.Expect(three.Take(asking("3"), node)).NotTo(BeNil())
	g.Expect(three.Take(asking("2"), node)).To(BeNil())

	// A pod that was here before holds what it has, even if that is too much.
	adopted := ledger.NewShare()
	adopted.Hold(asking("6"))
	g.Expect(ledger.Pods()).To(HaveLen(3))
	why, _ = two.Resize(asking("1"), node)
	g.Expect(why).To(HavePrefix("Node didn't have enough resource: cpu, requested: 1000, used: 8000"))
	g.Expect(adopted.Release()).To(BeTrue())

	// A pod that has ended takes nothing, however late its worker decides.
	g.Expect(one.Take(asking("100"), node)).To(BeNil())
	g.Expect(two.Release()).To(BeTrue())
	g.Expect(ledger.NewShare().Take(asking("2"), node)).To(BeNil())
}
