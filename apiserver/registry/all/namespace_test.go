package all

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"
)

// TestPreconditionsOfNamespaces deletes a namespace for another UID and another
// version, the first time and while it waits for its finalizer.
func TestPreconditionsOfNamespaces(t *testing.T) {
	w := newWorld(t, nil)
	ns := w.mustCreate("namespaces", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}}).(*corev1.Namespace)
	remove := func(p *metav1.Preconditions) (*corev1.Namespace, error) {
		out, _, err := w.storage("namespaces", "").(rest.GracefulDeleter).Delete(in("", ""), "a", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{Preconditions: p})
		if err != nil {
			return nil, err
		}
		return out.(*corev1.Namespace), nil
	}
	for _, state := range []string{"live", "waiting"} {
		for _, c := range []struct {
			field string
			p     metav1.Preconditions
			got   string
		}{
			{"UID", metav1.Preconditions{UID: ptr.To(types.UID("other"))}, string(ns.UID)},
			{"ResourceVersion", metav1.Preconditions{UID: &ns.UID, ResourceVersion: ptr.To("other")}, ns.ResourceVersion},
		} {
			_, err := remove(&c.p)
			want := fmt.Sprintf("Operation cannot be fulfilled on namespaces %q: Precondition failed: %[2]s in precondition: other, %[2]s in object meta: %s", "a", c.field, c.got)
			if !apierrors.IsConflict(err) || err.Error() != want {
				t.Errorf("%s, another %s: %v, want %s", state, c.field, err, want)
			}
		}
		got, err := remove(&metav1.Preconditions{UID: &ns.UID, ResourceVersion: &ns.ResourceVersion})
		if err != nil || got.DeletionTimestamp == nil || got.Status.Phase != corev1.NamespaceTerminating {
			t.Fatalf("%s: %v, %v", state, got, err)
		}
		ns = got
	}
}
