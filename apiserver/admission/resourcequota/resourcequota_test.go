package resourcequota

import (
	"context"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/utils/clock"

	"github.com/coracle-k8s/coracle/apis/quota"
)

// behind returns a quota as it was once, however often another writer changes it.
type behind struct{ seen, stored *corev1.ResourceQuota }

func (b *behind) ResourceQuotas(context.Context, string) ([]*corev1.ResourceQuota, error) {
	return []*corev1.ResourceQuota{b.seen}, nil
}

func (b *behind) UpdateQuotaStatus(_ context.Context, q *corev1.ResourceQuota) (*corev1.ResourceQuota, error) {
	if q.ResourceVersion != b.stored.ResourceVersion {
		return nil, apierrors.NewConflict(corev1.Resource("resourcequotas"), q.Name, nil)
	}
	b.stored = q.DeepCopy()
	b.stored.ResourceVersion += "1"
	return b.stored, nil
}

func (b *behind) LatestQuota(context.Context, string, string) (*corev1.ResourceQuota, error) {
	return b.stored, nil
}

// A request is charged to the quota as it is stored, though it is long not seen.
func TestChargesWhatIsStored(t *testing.T) {
	g := NewWithT(t)
	quotaOf := func(version, used string) *corev1.ResourceQuota {
		hard := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("3")}
		return &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "q", ResourceVersion: version},
			Spec: corev1.ResourceQuotaSpec{Hard: hard}, Status: corev1.ResourceQuotaStatus{Hard: hard, Used: corev1.ResourceList{corev1.ResourcePods: resource.MustParse(used)}}}
	}
	quotas := &behind{seen: quotaOf("1", "0"), stored: quotaOf("2", "1")}
	none := func(schema.GroupVersionResource, string) ([]runtime.Object, error) { return nil, nil }
	p, err := New(quotas, quota.NewConfiguration(none, clock.RealClock{}), nil)
	g.Expect(err).NotTo(HaveOccurred())
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	create := func(name string) error {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}}
		return p.Validate(ctx, admission.NewAttributesRecord(pod, nil, corev1.SchemeGroupVersion.WithKind("Pod"), "ns", name,
			corev1.SchemeGroupVersion.WithResource("pods"), "", admission.Create, &metav1.CreateOptions{}, false, &user.DefaultInfo{}), nil)
	}
	g.Expect(create("a")).To(Succeed())
	quotas.stored = quotaOf("3", "2")
	g.Expect(create("b")).To(Succeed())
	g.Expect(quotas.stored.Status.Used.Pods().Value()).To(BeEquivalentTo(3))
	g.Expect(create("c")).To(MatchError(ContainSubstring("exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3")))
	stop()
	g.Expect(<-done).To(Succeed())
}
