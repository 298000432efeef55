package pod

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// TestGraceOfAPodBoundMeanwhile deletes with the same options a pod that had no
// node and then has one.
func TestGraceOfAPodBoundMeanwhile(t *testing.T) {
	for name, c := range map[string]struct{ asked, want *int64 }{
		"by default": {nil, ptr.To[int64](30)}, "as asked": {ptr.To[int64](5), ptr.To[int64](5)},
		"at once": {ptr.To[int64](0), ptr.To[int64](0)}, "negative": {ptr.To[int64](-3), ptr.To[int64](1)},
	} {
		g := NewWithT(t)
		p := &corev1.Pod{Spec: corev1.PodSpec{TerminationGracePeriodSeconds: ptr.To[int64](30)}}
		o := &metav1.DeleteOptions{GracePeriodSeconds: c.asked}
		ctx := remember(t.Context(), o)
		g.Expect(checkGracefulDelete(ctx, p, o)).To(BeTrue())
		g.Expect(*o.GracePeriodSeconds).To(BeZero(), "%s: nothing runs", name)
		p.Spec.NodeName = "n"
		g.Expect(checkGracefulDelete(ctx, p, o)).To(BeTrue())
		g.Expect(o.GracePeriodSeconds).To(Equal(c.want), name)
		p.Status.Phase = corev1.PodSucceeded
		g.Expect(checkGracefulDelete(ctx, p, o)).To(BeTrue())
		g.Expect(*o.GracePeriodSeconds).To(BeZero(), "%s: it ended", name)
	}
}
