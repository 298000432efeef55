package nodettl

import (
	"testing"

	"github.com/coracle-k8s/coracle/controllers"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestNext(t *testing.T) {
	for _, tc := range []struct{ nodes, from, want int }{
		{1, 0, 0}, {100, 0, 0}, {101, 0, 1}, {95, 1, 1}, {89, 1, 0}, {5000, 0, 4}, {0, 4, 0}, {1800, 4, 4}, {1799, 4, 3},
	} {
		if got := Next(tc.nodes, tc.from); got != tc.want {
			t.Errorf("%d nodes from step %d: %d, want %d", tc.nodes, tc.from, got, tc.want)
		}
	}
}

func TestReconcileAnnotates(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Annotations: map[string]string{"x": "y"}}}
	c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(node).Build()
	r := New(controllers.Deps{Client: c})
	r.step = 1
	key := types.NamespacedName{Name: "n"}
	if _, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: key}); err != nil {
		t.Fatal(err)
	}
	if err := c.Get(t.Context(), key, node); err != nil || node.Annotations["node.alpha.kubernetes.io/ttl"] != "15" || node.Annotations["x"] != "y" {
		t.Errorf("%v, %v", node.Annotations, err)
	}
}
