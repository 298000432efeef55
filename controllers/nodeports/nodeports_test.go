package nodeports

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/controllers"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func service(name string, age time.Duration, ports ...int32) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(start.Add(-age))}}
	for _, p := range ports {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{NodePort: p})
	}
	return s
}

func TestPlan(t *testing.T) {
	for name, c := range map[string]struct {
		services []*corev1.Service
		want     []string
	}{
		"right":            {[]*corev1.Service{service("a", 0, 30000), service("b", 0, 30001), service("c", 0)}, nil},
		"two protocols":    {[]*corev1.Service{service("a", 0, 30000, 30000)}, nil},
		"the oldest keeps": {[]*corev1.Service{service("new", 0, 30000), service("old", time.Hour, 30000)}, []string{"new: PortAlreadyAllocated: Port 30000 was assigned to multiple services; please recreate service"}},
		"out of range":     {[]*corev1.Service{service("a", 0, 29999, 30009, 30010)}, []string{"a: PortOutOfRange: Port 29999 is not within the port range 30000-30009; please recreate service", "a: PortOutOfRange: Port 30010 is not within the port range 30000-30009; please recreate service"}},
	} {
		var all []corev1.Service
		for _, s := range c.services {
			all = append(all, *s)
		}
		var got []string
		for _, f := range plan(all, Range{Base: 30000, Size: 10}) {
			got = append(got, f.of.Name+": "+f.reason+": "+f.message)
		}
		NewWithT(t).Expect(got).To(Equal(c.want), name)
	}
}

func TestToldOnce(t *testing.T) {
	g := NewWithT(t)
	second := service("second", 0, 30000)
	c := fake.NewClientBuilder().WithScheme(apis.NewClientScheme()).WithObjects(service("first", time.Hour, 30000), second).Build()
	recorder := events.NewFakeRecorder(10)
	r := New(controllers.Deps{Client: c, Events: func(string) events.EventRecorder { return recorder }}, Range{Base: 30000, Size: 10})
	look := func() {
		_, err := r.Reconcile(t.Context(), reconcile.Request{})
		g.Expect(err).NotTo(HaveOccurred())
	}
	look()
	look()
	g.Expect(recorder.Events).To(Receive(HavePrefix("Warning PortAlreadyAllocated Port 30000 ")))
	g.Expect(recorder.Events).NotTo(Receive())
	g.Expect(c.Delete(t.Context(), second)).To(Succeed())
	look()
	again := service("second", 0, 30000)
	g.Expect(c.Create(t.Context(), again)).To(Succeed())
	look()
	g.Expect(recorder.Events).To(Receive(HavePrefix("Warning PortAlreadyAllocated Port 30000 ")), "it came again")
	g.Expect(testutil.ToFloat64(r.errors.WithLabelValues("duplicate"))).To(Equal(2.0))
}
