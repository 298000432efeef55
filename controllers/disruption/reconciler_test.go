package disruption

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/recorders"
)

// TestPodBeforeItsController reconciles a budget before the cache has the
// controller of its pod: only another try corrects the status.
func TestPodBeforeItsController(t *testing.T) {
	g, ctx := NewWithT(t), t.Context()
	b := budget("", "1")
	b.Namespace, b.Spec.Selector = "default", &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}}
	rc := &corev1.ReplicationController{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "rc", UID: "x"},
		Spec: corev1.ReplicationControllerSpec{Replicas: ptr.To[int32](2)}}
	p := pod("a", "x", true)
	p.Namespace, p.Labels = "default", b.Spec.Selector.MatchLabels
	p.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(rc, corev1.SchemeGroupVersion.WithKind("ReplicationController"))}
	c := fake.NewClientBuilder().WithScheme(apis.NewClientScheme()).WithObjects(b, p).WithStatusSubresource(&policyv1.PodDisruptionBudget{}).Build()
	r := New(controllers.Deps{Client: c, Clock: clock.RealClock{}, Recorder: recorders.Always(record.NewFakeRecorder(10))})
	request := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(b)}
	_, err := r.Reconcile(ctx, request)
	g.Expect(err).To(MatchError(ContainSubstring(`found no controllers for pod "a"`)))
	g.Expect(c.Create(ctx, rc)).To(Succeed())
	_, err = r.Reconcile(ctx, request)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(c.Get(ctx, request.NamespacedName, b)).To(Succeed())
	g.Expect(b.Status.ExpectedPods).To(BeEquivalentTo(2))
}
