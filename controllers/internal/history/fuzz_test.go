package history

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
)

// FuzzTemplate reads the data of revisions, which may be the text of any client
// with write access. A template that is read is recorded and read again.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{"", "null", "{}", `{"spec":{"template":null}}`, `{"spec":{"template":{}}}`, `{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"a","image":"b"}]}}}}`, `{"spec":{"template":[]}}`, `{"spec":{"template":{"spec":{"containers":[null]}}}}`, `{"spec":"x"}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		rev := &appsv1.ControllerRevision{Data: runtime.RawExtension{Raw: raw}}
		if !Equal(rev, rev.DeepCopy()) {
			t.Error("a revision differs from itself")
		}
		template, err := Template(rev)
		if err != nil {
			return
		}
		data, err := Data(template)
		if err != nil {
			t.Fatal(err)
		}
		same, err := Template(&appsv1.ControllerRevision{Data: runtime.RawExtension{Raw: data}})
		if err != nil || !equality.Semantic.DeepEqual(template, same) {
			t.Errorf("%s reads\n%+v, %v, not\n%+v", data, same, err, template)
		}
	})
}
