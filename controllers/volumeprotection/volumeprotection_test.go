package volumeprotection

import (
	"context"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers"
)

func TestUsesClaim(t *testing.T) {
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "p-v", Namespace: "default",
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "p", UID: "u", Controller: ptr.To(true)}}}}
	ephemeral := corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}
	direct := corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "p-v"}}
	now := metav1.Now()
	for _, c := range []struct {
		name, node string
		source     corev1.VolumeSource
		shut       bool
		uid        types.UID
		want       bool
	}{
		{name: "direct", node: "n", source: direct, want: true},
		{name: "not scheduled", source: direct},
		{name: "ephemeral", node: "n", source: ephemeral, uid: "u", want: true},
		{name: "ephemeral of another pod", node: "n", source: ephemeral, uid: "other"},
		{name: "ephemeral of a pod that has ended", node: "n", source: ephemeral, uid: "u", shut: true},
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default", UID: c.uid},
			Spec: corev1.PodSpec{NodeName: c.node, Volumes: []corev1.Volume{{Name: "v", VolumeSource: c.source}}}}
		if c.shut {
			pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &now, ptr.To[int64](0)
		}
		if got := usesClaim(pod, claim); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}

// world gives a client over objects; what has finalizers can be deleted in it.
func world(objects ...client.Object) client.Client {
	return fake.NewClientBuilder().WithIndex(&corev1.Pod{}, index.PodVolumeClaim, index.ByVolumeClaim).WithScheme(apis.NewClientScheme()).WithObjects(objects...).Build()
}

func request(o client.Object) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKeyFromObject(o)}
}

func TestClaimGoesAfterItsPod(t *testing.T) {
	g, ctx := NewWithT(t), context.Background()
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "c", Namespace: "default"}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default"}, Spec: corev1.PodSpec{NodeName: "n", Volumes: []corev1.Volume{
		{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}}}}}
	c := world(claim, pod)
	r := NewClaims(controllers.Deps{Client: c, Live: c, Clock: clock.RealClock{}})
	run := func() { _, err := r.Reconcile(ctx, request(claim)); g.Expect(err).NotTo(HaveOccurred()) }
	run()
	g.Expect(c.Get(ctx, client.ObjectKeyFromObject(claim), claim)).To(Succeed())
	g.Expect(claim.Finalizers).To(Equal([]string{"kubernetes.io/pvc-protection"}))
	g.Expect(c.Delete(ctx, claim)).To(Succeed())
	run()
	g.Expect(c.Get(ctx, client.ObjectKeyFromObject(claim), claim)).To(Succeed())
	g.Expect(claimsOf(ctx, pod)).To(Equal([]reconcile.Request{request(claim)}))
	g.Expect(c.Delete(ctx, pod)).To(Succeed())
	run()
	g.Expect(apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(claim), claim))).To(BeTrue())
}

// TestUnused lets pods come and go, and checks their claim's condition.
func TestUnused(t *testing.T) {
	g, ctx, clk := NewWithT(t), context.Background(), clocktesting.NewFakeClock(time.Unix(1000, 0))
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "c", Namespace: "default", Finalizers: []string{claimFinalizer}}}
	c := fake.NewClientBuilder().WithIndex(&corev1.Pod{}, index.PodVolumeClaim, index.ByVolumeClaim).WithScheme(apis.NewClientScheme()).
		WithObjects(claim).WithStatusSubresource(claim, &corev1.Pod{}).Build()
	r := NewClaims(controllers.Deps{Client: c, Live: c, Clock: clk})
	said := func() string {
		_, err := r.Reconcile(ctx, request(claim))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(c.Get(ctx, client.ObjectKeyFromObject(claim), claim)).To(Succeed())
		if u := unused(&claim.Status); u != nil {
			return fmt.Sprintf("%s %s at %d", u.Status, u.Reason, u.LastTransitionTime.Unix())
		}
		return ""
	}
	g.Expect(said()).To(BeEmpty(), "it is not bound")
	claim.Status.Phase = corev1.ClaimBound
	g.Expect(c.Status().Update(ctx, claim)).To(Succeed())
	g.Expect(said()).To(Equal("True NoPodsUsingPVC at 1000"))
	clk.SetTime(time.Unix(2000, 0))
	g.Expect(said()).To(Equal("True NoPodsUsingPVC at 1000"))
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default"}, Spec: corev1.PodSpec{Volumes: []corev1.Volume{
		{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}}}}}
	g.Expect(c.Create(ctx, pod)).To(Succeed())
	g.Expect(said()).To(Equal("False PodUsingPVC at 2000"), "a pod without a node counts")
	clk.SetTime(time.Unix(3000, 0))
	pod.Status.Phase = corev1.PodSucceeded
	g.Expect(c.Status().Update(ctx, pod)).To(Succeed())
	g.Expect(said()).To(Equal("True NoPodsUsingPVC at 3000"), "one that is over does not")
}

func TestVolumeGoesWhenUnbound(t *testing.T) {
	g, ctx := NewWithT(t), context.Background()
	pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv", Finalizers: []string{volumeFinalizer}}, Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeBound}}
	c := world(pv)
	g.Expect(c.Delete(ctx, pv)).To(Succeed())
	run := func() {
		_, err := NewVolumes(controllers.Deps{Client: c}).Reconcile(ctx, request(pv))
		g.Expect(err).NotTo(HaveOccurred())
	}
	run()
	g.Expect(c.Get(ctx, client.ObjectKeyFromObject(pv), pv)).To(Succeed())
	pv.Status.Phase = corev1.VolumeReleased
	g.Expect(c.Status().Update(ctx, pv)).To(Succeed())
	run()
	g.Expect(apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(pv), pv))).To(BeTrue())
}

func TestClassGoesWhenUnused(t *testing.T) {
	g, ctx := NewWithT(t), context.Background()
	class := &storagev1.VolumeAttributesClass{ObjectMeta: metav1.ObjectMeta{Name: "gold", Finalizers: []string{classFinalizer}}}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "c", Namespace: "default"}, Spec: corev1.PersistentVolumeClaimSpec{VolumeAttributesClassName: ptr.To("gold")}}
	c := world(class, claim)
	r := NewAttributesClasses(controllers.Deps{Client: c})
	g.Expect(c.Delete(ctx, class)).To(Succeed())
	run := func() { _, err := r.Reconcile(ctx, request(class)); g.Expect(err).NotTo(HaveOccurred()) }
	run()
	g.Expect(c.Get(ctx, client.ObjectKeyFromObject(class), class)).To(Succeed())
	g.Expect(r.deleting(ctx, claim)).To(Equal([]reconcile.Request{request(class)}))
	g.Expect(c.Delete(ctx, claim)).To(Succeed())
	run()
	g.Expect(apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(class), class))).To(BeTrue())
}
