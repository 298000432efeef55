package endpointslice

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/recorders"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// TestHints: six pods on three nodes of a zone each. want is the number of
// endpoints hinted for which zones and nodes, and the events.
func TestHints(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*corev1.Service)
		want   string
	}{
		"none":          {func(*corev1.Service) {}, "6x[] []"},
		"PreferClose":   {distribution(corev1.ServiceTrafficDistributionPreferClose), "2x[z0] [] 2x[z1] [] 2x[z2] []"},
		"same zone":     {distribution(corev1.ServiceTrafficDistributionPreferSameZone), "2x[z0] [] 2x[z1] [] 2x[z2] []"},
		"same node":     {distribution(corev1.ServiceTrafficDistributionPreferSameNode), "2x[z0] [n0] 2x[z1] [n1] 2x[z2] [n2]"},
		"topology":      {mode("Auto"), "2x[z0] [] 2x[z1] [] 2x[z2] [] Normal TopologyAwareHintsEnabled"},
		"topology, off": {mode("Disabled"), "6x[] []"},
		"topology before distribution": {func(s *corev1.Service) {
			mode("Auto")(s)
			distribution(corev1.ServiceTrafficDistributionPreferSameNode)(s)
		}, "2x[z0] [] 2x[z1] [] 2x[z2] [] Normal TopologyAwareHintsEnabled"},
	} {
		t.Run(name, func(t *testing.T) {
			svc := service()
			c.change(svc)
			if got := hinted(t, svc, 6); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	svc := service()
	mode("Auto")(svc)
	if got := hinted(t, svc, 2); got != "2x[] [] Warning TopologyAwareHintsDisabled" {
		t.Errorf("two pods for three zones: %q", got)
	}
}

func distribution(d string) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Spec.TrafficDistribution = &d }
}

func mode(m string) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Annotations = map[string]string{corev1.AnnotationTopologyMode: m} }
}

func hinted(t *testing.T, svc *corev1.Service, pods int) string {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	objects := []client.Object{svc}
	for i := range 3 {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("n", i), Labels: map[string]string{corev1.LabelTopologyZone: fmt.Sprint("z", i)}}}
		n.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4")}
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
		objects = append(objects, n)
	}
	for i := range pods {
		p := pod(i, true)
		p.Spec.NodeName = fmt.Sprint("n", i%3)
		objects = append(objects, p)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
	events := record.NewFakeRecorder(10)
	r := New(controllers.Deps{Client: c, Clock: clocktesting.NewFakeClock(time.Unix(0, 0)), Recorder: recorders.Always(events)}, Config{})
	if _, err := r.Reconcile(context.Background(), reconcile.Request{NamespacedName: client.ObjectKeyFromObject(svc)}); err != nil {
		t.Fatal(err)
	}
	var list discoveryv1.EndpointSliceList
	if err := c.List(context.Background(), &list); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, s := range list.Items {
		for _, e := range s.Endpoints {
			zones, nodes := []string{}, []string{}
			if e.Hints != nil {
				for _, z := range e.Hints.ForZones {
					zones = append(zones, z.Name)
				}
				for _, n := range e.Hints.ForNodes {
					nodes = append(nodes, n.Name)
				}
			}
			counts[fmt.Sprint(zones, " ", nodes)]++
		}
	}
	var out []string
	for _, hint := range []string{"[] []", "[z0] []", "[z1] []", "[z2] []", "[z0] [n0]", "[z1] [n1]", "[z2] [n2]"} {
		if n := counts[hint]; n > 0 {
			out = append(out, fmt.Sprint(n, "x", hint))
		}
	}
	for len(events.Events) > 0 {
		out = append(out, strings.Join(strings.Fields(<-events.Events)[:2], " "))
	}
	return strings.Join(out, " ")
}
