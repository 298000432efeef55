package storageversionmigration

import (
	"errors"
	"testing"
	"time"

	"github.com/coracle-k8s/coracle/controllers"
	corev1 "k8s.io/api/core/v1"
	storagemigrationv1 "k8s.io/api/storagemigration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/metadata/fake"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	fakeclient "sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestMessages(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, c := range []struct {
		left, total int
		err         error
		want        string
	}{
		{0, 0, nil, "The migration is running"},
		{2, 5, nil, "The migration is running, 2/5 objects not yet migrated"},
		{0, 5, nil, "The migration is running, 5 objects verified migrated"},
		{1, 1, errors.New("x"), "The migration is running, 1/1 objects not yet migrated; transient error: x"},
	} {
		var m storagemigrationv1.StorageVersionMigration
		running(&m, c.left, c.total, now, c.err)
		if got := m.Status.Conditions[0].Message; got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestReconcile(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{storagemigrationv1.AddToScheme, corev1.AddToScheme, metav1.AddMetaToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Unix(1000, 0)
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("ConfigMap"), meta.RESTScopeNamespace)
	migration := func(name, resource string, age time.Duration) *storagemigrationv1.StorageVersionMigration {
		return &storagemigrationv1.StorageVersionMigration{
			ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(now.Add(-age))},
			Spec:       storagemigrationv1.StorageVersionMigrationSpec{Resource: metav1.GroupResource{Resource: resource}},
			Status:     storagemigrationv1.StorageVersionMigrationStatus{ResourceVersion: "10"},
		}
	}
	object := func(name, version string) *metav1.PartialObjectMetadata {
		return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns", ResourceVersion: version}}
	}
	c := fakeclient.NewClientBuilder().WithScheme(scheme).WithRESTMapper(mapper).WithStatusSubresource(&storagemigrationv1.StorageVersionMigration{}).
		WithObjects(migration("known", "configmaps", 0), migration("new", "things", 0), migration("lost", "things", 2*time.Minute)).Build()
	objects := fake.NewSimpleMetadataClient(scheme, object("old", "9"), object("newer", "11"))
	r := New(controllers.Deps{Client: c, Clock: clocktesting.NewFakeClock(now)}, objects)
	for name, want := range map[string]string{"known": "Succeeded", "new": "", "lost": "Failed"} {
		if _, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: client.ObjectKey{Name: name}}); err != nil {
			t.Fatal(err)
		}
		var m storagemigrationv1.StorageVersionMigration
		if err := c.Get(t.Context(), client.ObjectKey{Name: name}, &m); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, condition := range m.Status.Conditions {
			if condition.Type != "Running" {
				got = condition.Type
			}
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	patched := 0
	for _, a := range objects.Actions() {
		if a.GetVerb() == "patch" {
			patched++
		}
	}
	if patched != 1 {
		t.Errorf("%d objects patched, want the old one", patched)
	}
}
