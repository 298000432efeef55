package clusterdns

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/controllers"
)

func node(name, dns string, ready corev1.ConditionStatus) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{apis.AnnotationDNS: dns}},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}},
	}
}

// settle reconciles until nothing changes any more and shows what is there.
func settle(t *testing.T, c client.Client) (text string) {
	t.Helper()
	r := New(controllers.Deps{Client: c}, "10.96.0.10")
	for range 3 {
		if _, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "kube-system", Name: ServiceName}}); err != nil {
			t.Fatal(err)
		}
	}
	svc := &corev1.Service{}
	if c.Get(t.Context(), client.ObjectKey{Namespace: "kube-system", Name: ServiceName}, svc) == nil {
		text = svc.Spec.ClusterIP
	}
	list := &discoveryv1.EndpointSliceList{}
	if err := c.List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	for _, s := range list.Items {
		e := s.Endpoints[0]
		text += strings.Join([]string{"", s.Name, e.Addresses[0], *e.NodeName, e.Hints.ForNodes[0].Name, s.OwnerReferences[0].Name}, " ")
		if !*e.Conditions.Ready {
			text += " not ready"
		}
	}
	return text
}

func TestReconcile(t *testing.T) {
	first := "10.96.0.10 kube-dns-a 10.244.0.1 a a kube-dns"
	for name, c := range map[string]struct {
		objects []client.Object
		change  func(client.Client) error
		want    string
	}{
		"no node answers": {objects: []client.Object{node("a", "", corev1.ConditionTrue)}},
		"one does":        {objects: []client.Object{node("a", "10.244.0.1:7", corev1.ConditionTrue)}, want: first},
		"two do, one silent": {
			objects: []client.Object{node("a", "10.244.0.1:7", corev1.ConditionTrue), node("b", "10.244.1.1:8", corev1.ConditionUnknown)},
			want:    first + " kube-dns-b 10.244.1.1 b b kube-dns not ready",
		},
		"nonsense": {objects: []client.Object{node("a", "dns.example", corev1.ConditionTrue)}},
		"one moves": {
			objects: []client.Object{node("a", "10.244.9.9:7", corev1.ConditionTrue)}, want: first,
			change: func(c client.Client) error {
				return c.Update(t.Context(), node("a", "10.244.0.1:7", corev1.ConditionTrue))
			},
		},
		"one goes": {
			objects: []client.Object{node("a", "10.244.0.1:7", corev1.ConditionTrue), node("b", "10.244.1.1:8", corev1.ConditionTrue)}, want: first,
			change: func(c client.Client) error { return c.Delete(t.Context(), node("b", "", corev1.ConditionTrue)) },
		},
		"somebody brings a DNS of their own": {
			objects: []client.Object{node("a", "10.244.0.1:7", corev1.ConditionTrue)}, want: "10.96.0.10",
			change: func(c client.Client) error {
				svc := &corev1.Service{}
				if err := c.Get(t.Context(), client.ObjectKey{Namespace: "kube-system", Name: ServiceName}, svc); err != nil {
					return err
				}
				svc.Spec.Selector = map[string]string{"k8s-app": "kube-dns"}
				return c.Update(t.Context(), svc)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			kube := fake.NewClientBuilder().WithScheme(apis.NewClientScheme()).WithObjects(c.objects...).Build()
			got := settle(t, kube)
			if c.change != nil {
				if err := c.change(kube); err != nil {
					t.Fatal(err)
				}
				got = settle(t, kube)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
