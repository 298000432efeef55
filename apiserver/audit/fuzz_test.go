package audit

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
)

// FuzzPolicy reads audit policies and asks them about a request.
func FuzzPolicy(f *testing.F) {
	const head = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
	for _, rest := range []string{"", "rules: []", "rules: [null]", "rules: [{level: Metadata}]", "rules: [{level: X}]", "rules: [{level: Request, resources: [{group: '', resources: ['pods/*', '*/status', '*']}], namespaces: ['']}]", "rules: [{level: None, nonResourceURLs: ['/x*', '*']}]", "omitStages: [X]\nrules: [{level: Metadata, omitStages: [RequestReceived]}]"} {
		f.Add([]byte(head + rest))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<15 {
			return
		}
		path := filepath.Join(t.TempDir(), "policy")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		log, err := Open(v1alpha1.Audit{PolicyFile: path})
		if err != nil {
			return
		}
		for _, a := range []authorizer.AttributesRecord{{}, {User: &user.DefaultInfo{Name: "u"}, Verb: "get", Namespace: "n", Resource: "pods", Subresource: "log", ResourceRequest: true}, {User: &user.DefaultInfo{}, Path: "/x/y"}} {
			log.EvaluatePolicyRule(a)
		}
	})
}
