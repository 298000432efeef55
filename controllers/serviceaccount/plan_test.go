package serviceaccount

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPlan(t *testing.T) {
	deleted := metav1.NewTime(time.Unix(1, 0))
	for name, tc := range map[string]struct {
		ns     corev1.Namespace
		wanted []string
		exists map[string]bool
		want   []string
	}{
		"new namespace gets all": {wanted: []string{"default", "ci"}, want: []string{"default", "ci"}},
		"only what is missing":   {wanted: []string{"default", "ci"}, exists: map[string]bool{"default": true}, want: []string{"ci"}},
		"nothing missing":        {wanted: []string{"default"}, exists: map[string]bool{"default": true}},
		"terminating phase":      {ns: corev1.Namespace{Status: corev1.NamespaceStatus{Phase: corev1.NamespaceTerminating}}, wanted: []string{"default"}},
		"deletion timestamp":     {ns: corev1.Namespace{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &deleted}}, wanted: []string{"default"}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.ns.Name = "ns"
			var got []string
			for _, sa := range plan(&tc.ns, tc.wanted, tc.exists) {
				if sa.Namespace != "ns" {
					t.Errorf("account in namespace %q", sa.Namespace)
				}
				got = append(got, sa.Name)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
