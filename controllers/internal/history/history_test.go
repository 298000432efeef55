package history

import (
	"context"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/coracle-k8s/coracle/apis/index"
)

var kind = Kind{appsv1.SchemeGroupVersion.WithKind("StatefulSet"), "hash"}

func owner() *appsv1.StatefulSet {
	return &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "ns", UID: "u", Annotations: map[string]string{"note": "n"}}}
}

func template(image string) *corev1.PodTemplateSpec {
	return &corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "a"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}},
	}
}

func revision(t *testing.T, image string, number int64) *appsv1.ControllerRevision {
	t.Helper()
	r, err := New(owner(), kind, template(image), number, 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNewRecordsTheTemplate(t *testing.T) {
	r := revision(t, "v1", 1)
	want := `{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"image":"v1","name":"c","resources":{}}]}}}}`
	if got := string(r.Data.Raw); got != want {
		t.Errorf("data %s", got)
	}
	if r.Name != "web-"+r.Labels["hash"] || r.Labels["app"] != "a" || r.Annotations["note"] != "n" || !metav1.IsControlledBy(r, owner()) {
		t.Errorf("metadata %+v", r.ObjectMeta)
	}
	got, err := Template(r)
	if err != nil || got.Spec.Containers[0].Image != "v1" {
		t.Errorf("template %v, %v", got, err)
	}
	other := r.DeepCopy()
	kind.Rename(other, "web", 1)
	if other.Name == r.Name {
		t.Error("a collision changes no name")
	}
	kind.Rename(other, strings.Repeat("x", 253), 0)
	if len(other.Name) > 253 {
		t.Errorf("name of %d characters", len(other.Name))
	}
	if _, err := Template(&appsv1.ControllerRevision{}); err == nil {
		t.Error("a revision without data has a template")
	}
}

func TestEqualLooksAtTheTemplate(t *testing.T) {
	a, b := revision(t, "v1", 1), revision(t, "v1", 2)
	b.Data.Raw = []byte(`{"spec": {"template": {"spec":{"containers":[{"name":"c","image":"v1"}]},"metadata":{"creationTimestamp":null,"labels":{"app":"a"}},"$patch":"replace"}}}`)
	if !Equal(a, b) {
		t.Error("the same template written otherwise is not equal")
	}
	if Equal(a, revision(t, "v2", 1)) {
		t.Error("another template is equal")
	}
}

func TestDecide(t *testing.T) {
	r1, r2, again := revision(t, "v1", 1), revision(t, "v2", 2), revision(t, "v2", 3)
	for _, tc := range []struct {
		name   string
		have   []*appsv1.ControllerRevision
		image  string
		want   *appsv1.ControllerRevision
		create bool
		number int64
		dups   int
	}{
		{"the first", nil, "v1", nil, true, 0, 0},
		{"unchanged", []*appsv1.ControllerRevision{r1, r2}, "v2", r2, false, 0, 0},
		{"new", []*appsv1.ControllerRevision{r1, r2}, "v3", nil, true, 0, 0},
		{"rolled back", []*appsv1.ControllerRevision{r1, r2}, "v1", r1, false, 3, 0},
		{"twice there", []*appsv1.ControllerRevision{r1, r2, again}, "v2", again, false, 0, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := Decide(tc.have, revision(t, tc.image, Next(tc.have)))
			if d.Create != tc.create || d.Number != tc.number || len(d.Duplicates) != tc.dups || !tc.create && d.Revision != tc.want {
				t.Errorf("%+v", d)
			}
		})
	}
}

func TestExcess(t *testing.T) {
	all := []*appsv1.ControllerRevision{revision(t, "a", 1), revision(t, "b", 2), revision(t, "c", 3), revision(t, "d", 4)}
	live := func(r *appsv1.ControllerRevision) bool { return r == all[0] || r == all[3] }
	for limit, want := range map[int32]int{-1: 0, 0: 2, 1: 1, 2: 0, 10: 0} {
		if got := Excess(all, live, &limit); len(got) != want || want > 0 && got[0] != all[1] {
			t.Errorf("limit %d: %v", limit, got)
		}
	}
	if Excess(all, live, nil) != nil {
		t.Error("without a limit there is an excess")
	}
}

func store(objs ...client.Object) *Store {
	c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(objs...).
		WithIndex(&appsv1.ControllerRevision{}, index.Owner, index.ByOwner).
		WithIndex(&appsv1.ControllerRevision{}, index.PodOrphan, index.ByOrphan).Build()
	return &Store{Client: c, Live: c, Owner: owner(), Kind: kind, Selector: labels.SelectorFromSet(labels.Set{"app": "a"})}
}

func TestStoreAdoptsAvoidsCollisionsAndRenumbers(t *testing.T) {
	ctx := context.Background()
	orphan := revision(t, "v1", 1)
	orphan.OwnerReferences = nil
	taken := revision(t, "v2", 9)
	taken.OwnerReferences[0].UID = "another"
	s := store(owner(), orphan, taken)
	have, err := s.List(ctx)
	if err != nil || len(have) != 1 || have[0].Name != orphan.Name {
		t.Fatalf("%v, %v", have, err)
	}
	created, collisions, err := s.Apply(ctx, Decide(have, revision(t, "v2", Next(have))), 0)
	if err != nil || collisions != 1 || created.Name == taken.Name || created.Revision != 2 {
		t.Fatalf("%v, %d, %v", created, collisions, err)
	}
	// The cache may be behind: the same revision again is the one there is.
	same, collisions, err := s.Apply(ctx, Decide(have, revision(t, "v2", Next(have))), collisions)
	if err != nil || collisions != 1 || same.UID != created.UID || same.Name != created.Name {
		t.Fatalf("%v, %d, %v", same, collisions, err)
	}
	have, err = s.List(ctx)
	if err != nil || len(have) != 2 {
		t.Fatalf("%v, %v", have, err)
	}
	back, _, err := s.Apply(ctx, Decide(have, revision(t, "v1", Next(have))), collisions)
	if err != nil || back.Name != orphan.Name || back.Revision != 3 {
		t.Fatalf("%v, %v", back, err)
	}
	if err := s.Delete(ctx, Excess(have, func(r *appsv1.ControllerRevision) bool { return r.Name == back.Name }, ptr.To[int32](0))); err != nil {
		t.Fatal(err)
	}
	if have, err = s.List(ctx); err != nil || len(have) != 1 || have[0].Name != back.Name {
		t.Fatalf("%v, %v", have, err)
	}
}
