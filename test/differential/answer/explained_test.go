package answer

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestRulesAreNarrow reads the list of explained differences. No rule about status
// codes lets a server accept what the other refuses for every reason.
func TestRulesAreNarrow(t *testing.T) {
	rules, err := ReadExplained("../testdata/explained.yaml")
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]bool{}
	for _, r := range rules {
		if reasons[r.Reason] {
			t.Errorf("twice: %s", r.Reason)
		}
		reasons[r.Reason] = true
	}
	some := Difference{At: "code", Upstream: "200 Pod", Ours: `422 Pod "x" is invalid: spec.containers: Required value`}
	for _, request := range []string{"POST /api/v1/namespaces/n/pods", "PUT /api/v1/namespaces/n/pods/x", "PATCH /api/v1/namespaces/n/pods/x", "GET /api/v1/namespaces/n/pods/x/log", "PUT /apis/apiregistration.k8s.io/v1/apiservices/x", "PUT /apis/apiextensions.k8s.io/v1/customresourcedefinitions/x"} {
		for _, d := range []Difference{some, {At: "code", Upstream: some.Ours, Ours: some.Upstream}, {At: "/spec/nodeName", Upstream: `"a"`, Ours: `"b"`}} {
			if left := rules.Unexplained(request, "", []Difference{d}); len(left) != 1 {
				t.Errorf("%s: %v is explained", request, d)
			}
		}
	}
}

// TestNoChangeOfSeveralManagers explains a write that changed an object on one side only if
// several managers have fields of it.
func TestNoChangeOfSeveralManagers(t *testing.T) {
	rules, err := ReadExplained("../testdata/explained.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const one = `{"manager":"a"}`
	for managers, want := range map[string]int{one: 1, one + `,{"manager":"b","fieldsV1":{"f:a":{}}}`: 0} {
		s := NewSymbols(time.Now())
		object := func(version string) any {
			return decode(t, `{"metadata":{"managedFields":[`+managers+`],"resourceVersion":"`+version+`"}}`)
		}
		s.Compare(object("1"), object("1"), "")
		_, differences := s.Compare(object("1"), object("2"), "")
		if left := rules.Unexplained("PUT /api/v1/namespaces/n/pods/x", "", differences); len(differences) != 1 || len(left) != want {
			t.Errorf("with %s: %v, %v unexplained", managers, differences, left)
		}
	}
}

// TestReadExplained refuses rules without a reason and patterns that are none.
func TestReadExplained(t *testing.T) {
	for text, want := range map[string]string{
		"- {at: code}": "has no reason", "- {reason: r, at: (}": "missing closing )", "- {reason: r, where: x}": "unknown field",
	} {
		file := t.TempDir() + "/rules.yaml"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadExplained(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
