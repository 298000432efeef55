package answer

import (
	"os"
	"strings"
	"testing"
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
