package rootca

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPlan(t *testing.T) {
	good := func() *corev1.ConfigMap {
		create, _ := plan("ns", "PEM", nil)
		return create
	}
	if c := good(); c.Name != "kube-root-ca.crt" || c.Data["ca.crt"] != "PEM" || c.Namespace != "ns" {
		t.Fatalf("unexpected object %+v", c)
	}
	for name, tc := range map[string]struct {
		spoil func(*corev1.ConfigMap)
		same  bool
	}{
		"untouched":        {spoil: func(*corev1.ConfigMap) {}, same: true},
		"other annotation": {spoil: func(c *corev1.ConfigMap) { c.Annotations["mine"] = "x" }, same: true},
		"other authority":  {spoil: func(c *corev1.ConfigMap) { c.Data["ca.crt"] = "old" }},
		"extra key":        {spoil: func(c *corev1.ConfigMap) { c.Data["x"] = "y" }},
		"binary key":       {spoil: func(c *corev1.ConfigMap) { c.BinaryData = map[string][]byte{"b": {1}} }},
		"no description":   {spoil: func(c *corev1.ConfigMap) { c.Annotations = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			existing := good()
			existing.Labels = map[string]string{"kept": "yes"}
			existing.ObjectMeta.ResourceVersion = "7"
			tc.spoil(existing)
			before := existing.DeepCopy()
			create, update := plan("ns", "PEM", existing)
			if create != nil {
				t.Error("creates what exists")
			}
			if tc.same != (update == nil) {
				t.Fatalf("update: %v", update)
			}
			if diff := cmp.Diff(before, existing); diff != "" {
				t.Errorf("input changed: %s", diff)
			}
			if update == nil {
				return
			}
			want := good()
			want.ObjectMeta = metav1.ObjectMeta{Namespace: "ns", Name: ConfigMapName, ResourceVersion: "7",
				Labels: map[string]string{"kept": "yes"}, Annotations: want.Annotations}
			if diff := cmp.Diff(want, update); diff != "" {
				t.Error(diff)
			}
		})
	}
}
