package ephemeralvolume

import (
	"context"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/recorders"
)

func TestClaimsOfPods(t *testing.T) {
	g, ctx := NewWithT(t), context.Background()
	template := &corev1.PersistentVolumeClaimTemplate{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}},
		Spec: corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default", UID: "u"}, Spec: corev1.PodSpec{Volumes: []corev1.Volume{
		{Name: "plain"}, {Name: "v", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: template}}}}}}
	g.Expect(has(pod)).To(BeTrue())
	c := fake.NewClientBuilder().WithScheme(apis.NewClientScheme()).WithObjects(pod).Build()
	recorder := record.NewFakeRecorder(10)
	run := func() error {
		_, err := New(controllers.Deps{Client: c, Recorder: recorders.Always(recorder)}).Reconcile(ctx, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(pod)})
		return err
	}
	g.Expect(run()).To(Succeed())
	g.Expect(run()).To(Succeed())
	var claim corev1.PersistentVolumeClaim
	g.Expect(c.Get(ctx, client.ObjectKey{Namespace: "default", Name: "p-v"}, &claim)).To(Succeed())
	g.Expect(metav1.IsControlledBy(&claim, pod)).To(BeTrue())
	g.Expect(claim.Labels).To(Equal(template.Labels))

	claim.OwnerReferences = nil
	g.Expect(c.Update(ctx, &claim)).To(Succeed())
	g.Expect(run()).To(MatchError(ContainSubstring("pod is not owner")))
	g.Expect(recorder.Events).To(Receive(ContainSubstring("FailedBinding ephemeral volume p-v")))
}
