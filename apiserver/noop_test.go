package apiserver_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"testing"

	. "github.com/onsi/gomega"
)

// TestWritesWithoutChange applies, updates and patches objects with what they are:
// none gets another version, whatever the time of its last write was.
func TestWritesWithoutChange(t *testing.T) {
	s := start(t)
	defer s.Stop()
	s.do(t, http.MethodPost, "/api/v1/namespaces", "secret", `{"metadata":{"name":"default"}}`)
	times := regexp.MustCompile(`"time":"[^"]*"`)
	for _, c := range []struct{ path, apiVersion, kind, fields string }{
		{"/api/v1/namespaces/default/configmaps", "v1", "ConfigMap", `"data":{"a":"b"}`},
		{"/apis/apps/v1/namespaces/default/deployments", "apps/v1", "Deployment", `"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}`},
		{"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", "discovery.k8s.io/v1", "EndpointSlice", `"addressType":"IPv4","endpoints":[],"ports":null`},
		{"/apis/rbac.authorization.k8s.io/v1/clusterroles", "rbac.authorization.k8s.io/v1", "ClusterRole", `"rules":[]`},
		{"/apis/resource.k8s.io/v1/namespaces/default/resourceclaims", "resource.k8s.io/v1", "ResourceClaim", `"spec":{"devices":{"requests":[{"name":"r","exactly":{"deviceClassName":"c"}}]}}`},
	} {
		t.Run(c.kind, func(t *testing.T) {
			g := NewWithT(t)
			body := `{"apiVersion":"` + c.apiVersion + `","kind":"` + c.kind + `","metadata":{"name":"noop"},` + c.fields + `}`
			send := func(method, contentType, query, body string) (text, version string) {
				t.Helper()
				response, text := s.do(t, method, c.path+"/noop"+query, "secret", body, "Content-Type", contentType)
				g.Expect(response.StatusCode).To(BeElementOf(http.StatusOK, http.StatusCreated), text)
				var o struct {
					Metadata struct{ ResourceVersion string }
				}
				g.Expect(json.Unmarshal([]byte(text), &o)).To(Succeed())
				return text, o.Metadata.ResourceVersion
			}
			const apply, query = "application/apply-patch+yaml", "?fieldManager=test"
			first, _ := send(http.MethodPatch, apply, query, body)
			text, version := send(http.MethodPut, "application/json", query, times.ReplaceAllString(first, `"time":"2020-01-01T00:00:00Z"`))
			for _, write := range []struct{ method, contentType, body string }{
				{http.MethodPatch, apply, body},
				{http.MethodPut, "application/json", text},
				{http.MethodPatch, "application/merge-patch+json", text},
				{http.MethodPatch, "application/strategic-merge-patch+json", `{}`},
				{http.MethodPatch, "application/json-patch+json", `[{"op":"test","path":"/metadata/name","value":"noop"}]`},
			} {
				_, now := send(write.method, write.contentType, query, write.body)
				g.Expect(now).To(Equal(version), "%s %s", write.method, write.contentType)
			}
		})
	}
}
