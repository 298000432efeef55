package all

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apiserver/storage"
)

// TestCorruptObjectsCanBeDeleted writes what no codec reads, with and without a
// watch cache above it (AllowUnsafeMalformedObjectDeletion).
func TestCorruptObjectsCanBeDeleted(t *testing.T) {
	w := newWorld(t, nil)
	for resource, obj := range map[string]metav1.Object{
		"configmaps": &corev1.ConfigMap{ObjectMeta: meta("x")},
		"events":     &corev1.Event{ObjectMeta: meta("x"), InvolvedObject: corev1.ObjectReference{Namespace: "default"}},
	} {
		w.mustCreate(resource, obj)
		if _, err := w.etcd.Client.Put(t.Context(), storage.Prefix+"/"+resource+"/default/x", "\x00nothing that we know"); err != nil {
			t.Fatal(err)
		}
		unsafe := w.storage(resource, "").(rest.CorruptObjectDeleterProvider).GetCorruptObjDeleter()
		if unsafe == nil {
			t.Fatalf("%s: no unsafe deletion", resource)
		}
		if _, _, err := w.delete(resource, "default", "x", &metav1.DeleteOptions{}); err == nil {
			t.Errorf("%s: deleted without the option", resource)
		}
		o := &metav1.DeleteOptions{IgnoreStoreReadErrorWithClusterBreakingPotential: ptr.To(true)}
		if _, _, err := unsafe.Delete(in("default", ""), "x", rest.ValidateAllObjectFunc, o); err != nil {
			t.Errorf("%s: deleting: %v", resource, err)
		}
		if _, err := w.storage(resource, "").(rest.Getter).Get(in("default", ""), "x", &metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("%s: then %v", resource, err)
		}
	}
}
