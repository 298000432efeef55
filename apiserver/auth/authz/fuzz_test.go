package authz

import (
	"testing"

	authorizationcel "k8s.io/apiserver/pkg/authorization/cel"
)

// FuzzConfiguration reads AuthorizationConfigurations. One that is taken has an
// authorizer, and of each type with a fixed name one at most.
func FuzzConfiguration(f *testing.F) {
	const head = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\n"
	for _, rest := range []string{
		"", "authorizers: []", "authorizers: [null]", "authorizers: [{type: RBAC, name: rbac}, {type: Node, name: node}]", "authorizers: [{type: RBAC, name: rbac}, {type: RBAC, name: rbac}]", "authorizers: [{type: ABAC, name: abac}]",
		"authorizers: [{type: Webhook, name: w, webhook: {timeout: 1s, authorizedTTL: -1s, failurePolicy: Deny, subjectAccessReviewVersion: v1, matchConditionSubjectAccessReviewVersion: v1, connectionInfo: {type: KubeConfigFile, kubeConfigFile: /none}, matchConditions: [{expression: 'request.'}]}}]",
		"authorizers: [{type: Webhook, name: w, webhook: null}]",
	} {
		f.Add([]byte(head + rest))
	}
	file := &File{compiler: authorizationcel.NewDefaultCompiler()}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<15 {
			return
		}
		parsed, named, err := file.parse(data)
		if err != nil {
			return
		}
		if len(parsed.Authorizers) == 0 || named.Len() > len(parsed.Authorizers) {
			t.Errorf("reads %+v, %v", parsed, named)
		}
	})
}
