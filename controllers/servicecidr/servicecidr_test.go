package servicecidr

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apis/networking"
	"github.com/coracle-k8s/coracle/controllers"
)

func cidr(name string, ranges ...string) *networkingv1.ServiceCIDR {
	return &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: ranges}}
}

func address(ip string) *networkingv1.IPAddress {
	return &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: ip, Labels: map[string]string{networkingv1.LabelManagedBy: networking.AllocatorName}}}
}

func TestNeeded(t *testing.T) {
	for _, c := range []struct {
		name      string
		others    []networkingv1.ServiceCIDR
		addresses []networkingv1.IPAddress
		want      bool
	}{
		{"empty", nil, nil, false},
		{"used", nil, []networkingv1.IPAddress{*address("10.1.0.5")}, true},
		{"used elsewhere", nil, []networkingv1.IPAddress{*address("10.2.0.5")}, false},
		{"wider", []networkingv1.ServiceCIDR{*cidr("wide", "10.0.0.0/8")}, []networkingv1.IPAddress{*address("10.1.0.5")}, false},
		{"covered in part", []networkingv1.ServiceCIDR{*cidr("part", "10.1.0.0/25")}, []networkingv1.IPAddress{*address("10.1.0.5"), *address("10.1.0.200")}, true},
	} {
		mine := cidr("mine", "10.1.0.0/24")
		if got := needed(mine, append(c.others, *mine), c.addresses); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}

func TestLife(t *testing.T) {
	g, ctx := NewWithT(t), context.Background()
	mine, ip := cidr("mine", "10.1.0.0/24"), address("10.1.0.5")
	c := fake.NewClientBuilder().WithScheme(apis.NewClientScheme()).WithObjects(mine, ip).WithStatusSubresource(mine).Build()
	clk := testingclock.NewFakeClock(time.Now())
	r := New(controllers.Deps{Client: c, Clock: clk})
	run := func() reconcile.Result {
		result, err := r.Reconcile(ctx, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(mine)})
		g.Expect(err).NotTo(HaveOccurred())
		return result
	}
	run()
	g.Expect(c.Get(ctx, client.ObjectKeyFromObject(mine), mine)).To(Succeed())
	g.Expect(mine.Finalizers).To(Equal([]string{networking.CIDRFinalizer}))
	g.Expect(networking.Ready(mine)).To(BeTrue())
	g.Expect(mine.Status.Conditions).To(HaveLen(1))

	g.Expect(c.Delete(ctx, mine)).To(Succeed())
	g.Expect(r.deleting(ctx, ip)).To(HaveLen(1))
	run()
	g.Expect(c.Get(ctx, client.ObjectKeyFromObject(mine), mine)).To(Succeed())
	g.Expect(mine.Status.Conditions[0].Reason).To(Equal("Terminating"))
	g.Expect(c.Delete(ctx, ip)).To(Succeed())
	clk.SetTime(mine.DeletionTimestamp.Time)
	g.Expect(run().RequeueAfter).To(BeNumerically(">", 0))
	clk.Step(deletionGrace)
	run()
	g.Expect(apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(mine), mine))).To(BeTrue())
}
