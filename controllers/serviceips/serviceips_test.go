package serviceips

import (
	"context"
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apis/networking"
	"github.com/coracle-k8s/coracle/controllers"
)

func service(name, ip string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Spec: corev1.ServiceSpec{ClusterIP: ip, ClusterIPs: []string{ip}}}
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func address(svc, ip string) *networkingv1.IPAddress {
	a := networking.AddressOf(service(svc, ip), netip.MustParseAddr(ip))
	a.CreationTimestamp = metav1.NewTime(start)
	return a
}

func TestServiceRepairs(t *testing.T) {
	strange := address("s", "10.0.0.1")
	strange.Spec.ParentRef.Resource = "gateways"
	unlabelled := address("s", "10.0.0.1")
	unlabelled.Labels = nil
	for name, c := range map[string]struct {
		ip           string
		address      *networkingv1.IPAddress
		other        *corev1.Service
		reason       string
		remove, make bool
	}{
		"right":        {ip: "10.0.0.1", address: address("s", "10.0.0.1")},
		"lost":         {ip: "10.0.0.1", reason: "ClusterIPNotAllocated", make: true},
		"headless":     {ip: "None"},
		"out of range": {ip: "10.9.0.1", reason: "ClusterIPOutOfRange"},
		"another kind": {ip: "10.0.0.1", address: strange, reason: "ClusterIPNotAllocated", remove: true, make: true},
		"of one gone":  {ip: "10.0.0.1", address: address("t", "10.0.0.1"), reason: "ClusterIPNotAllocated", remove: true, make: true},
		"of two":       {ip: "10.0.0.1", address: address("t", "10.0.0.1"), other: service("t", "10.0.0.1"), reason: "ClusterIPAlreadyAllocated"},
		"of one that has another now": {ip: "10.0.0.1", address: address("t", "10.0.0.1"), other: service("t", "10.0.0.2"),
			reason: "ClusterIPNotAllocated", remove: true, make: true},
		"no labels": {ip: "10.0.0.1", address: unlabelled, remove: true, make: true},
	} {
		all := planService(service("s", c.ip), observed{
			address: func(string) *networkingv1.IPAddress { return c.address },
			service: func(string, string) *corev1.Service { return c.other },
			inRange: netip.MustParsePrefix("10.0.0.0/24").Contains,
		})
		var got repair
		if len(all) > 0 {
			got = all[0]
		}
		reason := ""
		if got.note != nil {
			reason = got.note.reason
		}
		if reason != c.reason || (got.remove != nil) != c.remove || (got.create != nil) != c.make {
			t.Errorf("%s: got %q %+v", name, reason, got)
		}
	}
}

func eventsTo(r events.EventRecorder) func(string) events.EventRecorder {
	return func(string) events.EventRecorder { return r }
}

func TestLeakedAddressGoes(t *testing.T) {
	g, ctx := NewWithT(t), context.Background()
	leaked, used := address("gone", "10.0.0.1"), address("s", "10.0.0.2")
	c := fake.NewClientBuilder().WithScheme(apis.NewClientScheme()).WithObjects(leaked, used, service("s", "10.0.0.2")).Build()
	clk, recorder := testingclock.NewFakeClock(start), events.NewFakeRecorder(10)
	r := New(controllers.Deps{Client: c, Live: c, Clock: clk, Events: eventsTo(recorder)})
	run := func(name string) reconcile.Result {
		result, err := r.Reconcile(ctx, reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
		g.Expect(err).NotTo(HaveOccurred())
		return result
	}
	wait := run("10.0.0.1").RequeueAfter
	g.Expect(wait).To(BeNumerically("~", time.Minute, time.Second))
	clk.Step(wait)
	run("10.0.0.1")
	run("10.0.0.2")
	var left networkingv1.IPAddressList
	g.Expect(c.List(ctx, &left)).To(Succeed())
	g.Expect(left.Items).To(HaveLen(1))
	g.Expect(recorder.Events).To(Receive(Equal("Warning IPAddressNotAllocated IPAddress: 10.0.0.1 for Service default/gone appears to have leaked: cleaning up")))
}

func TestLostAddressComesBack(t *testing.T) {
	g, ctx := NewWithT(t), context.Background()
	c := fake.NewClientBuilder().WithScheme(apis.NewClientScheme()).WithObjects(service("s", "10.0.0.2")).Build()
	recorder := events.NewFakeRecorder(10)
	_, err := New(controllers.Deps{Client: c, Live: c, Clock: testingclock.NewFakeClock(start), Events: eventsTo(recorder)}).Reconcile(ctx, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "default", Name: "s"}})
	g.Expect(err).NotTo(HaveOccurred())
	var ip networkingv1.IPAddress
	g.Expect(c.Get(ctx, client.ObjectKey{Name: "10.0.0.2"}, &ip)).To(Succeed())
	g.Expect(networking.BelongsTo(&ip, service("s", "10.0.0.2"))).To(BeTrue())
	g.Expect(recorder.Events).To(Receive(Equal("Warning ClusterIPNotAllocated Cluster IP [IPv4]: 10.0.0.2 is not allocated; repairing")))
}
