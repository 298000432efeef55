package daemonset

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
)

func TestTheServerCountsTemplates(t *testing.T) {
	ds := &appsv1.DaemonSet{}
	expect := func(what, want string) {
		t.Helper()
		if got := ds.Annotations[appsv1.DeprecatedTemplateGeneration]; got != want {
			t.Errorf("%s: generation %q, want %s", what, got, want)
		}
	}
	update := func(change func()) {
		old := ds.DeepCopy()
		change()
		prepareForUpdate(ds, old)
	}
	prepareForCreate(ds)
	expect("created", "1")
	update(func() { ds.Annotations = nil; ds.Spec.MinReadySeconds = 3 })
	expect("another change, without the annotation", "1")
	update(func() { ds.Spec.Template.Labels = map[string]string{"a": "b"} })
	expect("another template", "2")
	update(func() { setTemplateGeneration(ds, 9) })
	expect("a generation that the client chose", "2")
}
