package nodeagent

import (
	"testing"

	"github.com/coracle-k8s/coracle/nodeagent/podstatus"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// TestStatusOfOthersIsLeft has a pod whose status gets, while it runs, what the
// scheduler and controllers write. An agent that sent a patch of any of it would
// be refused by NodeRestriction, for good.
func TestStatusOfOthersIsLeft(t *testing.T) {
	g := NewWithT(t)
	before := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "u", ResourceVersion: "1"}, Status: corev1.PodStatus{Phase: corev1.PodPending}}
	w := newWorker(&Agent{}, before)
	after := before.DeepCopy()
	after.ResourceVersion = "2"
	after.Status.NominatedNodeName = "n"
	after.Status.Conditions = []corev1.PodCondition{{Type: "example.com/gate", Status: corev1.ConditionTrue}}
	after.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "c", ResourceClaimName: ptr.To("x")}}
	after.Status.ExtendedResourceClaimStatus = &corev1.PodExtendedResourceClaimStatus{ResourceClaimName: "x"}
	after.Status.NodeAllocatableResourceClaimStatuses = []corev1.NodeAllocatableResourceClaimStatus{{ResourceClaimName: "x"}}
	w.accept(after)
	w.status.Phase = corev1.PodRunning
	patch, err := podstatus.Patch(w.pod, w.planned())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(patch)).To(MatchJSON(`{"metadata":{"uid":"u"},"status":{"phase":"Running"}}`))
}
