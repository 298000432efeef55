package apiserver_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/coracle-k8s/coracle/apiserver"
)

// Whatever is done with a deprecated kind, the client is warned of it, the metric
// counts it and the audit log marks it.
func TestDeprecatedKinds(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	policy, log := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "audit.log")
	g.Expect(os.WriteFile(policy, []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, resources: [{resources: [endpoints, configmaps]}]}]\n"), 0o600)).To(Succeed())
	s := start(t, func(c *apiserver.Config) { c.Settings.Audit.PolicyFile, c.Settings.Audit.LogPath = policy, log })
	defer s.Stop()
	response, body := s.do(t, http.MethodPost, "/api/v1/namespaces", "secret", `{"metadata":{"name":"default"}}`)
	g.Expect(response.StatusCode).To(Equal(http.StatusCreated), body)

	const endpoints = `299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"`
	const statuses = `299 - "v1 ComponentStatus is deprecated in v1.19+"`
	list := "/api/v1/namespaces/default/endpoints"
	for _, c := range []struct {
		method, path, body string
		header             []string
		warnings           []string
	}{
		{http.MethodPost, list, `{"metadata":{"name":"e"},"subsets":[{"addresses":[{"ip":"10.1.2.3"}],"ports":[{"port":80}]}]}`, nil, []string{endpoints}},
		{http.MethodGet, list + "/e", "", nil, []string{endpoints}},
		{http.MethodGet, list, "", nil, []string{endpoints}},
		{http.MethodGet, "/api/v1/endpoints", "", nil, []string{endpoints}},
		{http.MethodGet, list + "?watch=1&timeoutSeconds=1", "", nil, []string{endpoints}},
		{http.MethodPatch, list + "/e", `{"metadata":{"labels":{"a":"b"}}}`, []string{"Content-Type", "application/merge-patch+json"}, []string{endpoints}},
		{http.MethodPut, list + "/e", `{"metadata":{"name":"e"}}`, nil, []string{endpoints}},
		{http.MethodGet, list + "/none", "", nil, []string{endpoints}},
		{http.MethodDelete, list + "/e", "", nil, []string{endpoints}},
		{http.MethodDelete, list, "", nil, []string{endpoints}},
		{http.MethodGet, "/api/v1/componentstatuses", "", nil, []string{statuses}},
		{http.MethodGet, "/api/v1/namespaces/default/configmaps", "", nil, nil},
	} {
		response, body := s.do(t, c.method, c.path, "secret", c.body, c.header...)
		g.Expect(response.StatusCode).To(Or(BeNumerically("<", 300), Equal(http.StatusNotFound)), "%s %s: %s", c.method, c.path, body)
		g.Expect(response.Header.Values("Warning")).To(Equal(c.warnings), "%s %s", c.method, c.path)
	}

	_, body = s.do(t, http.MethodGet, "/metrics", "secret", "")
	g.Expect(body).To(ContainSubstring(`apiserver_requested_deprecated_apis{group="",removed_release="",resource="endpoints",subresource="",version="v1"} 1`))
	g.Expect(body).NotTo(ContainSubstring(`apiserver_requested_deprecated_apis{group="",removed_release="",resource="configmaps"`))
	g.Eventually(func() string {
		text, err := os.ReadFile(log)
		g.Expect(err).NotTo(HaveOccurred())
		return string(text)
	}).Should(And(ContainSubstring(`"k8s.io/deprecated":"true"`), ContainSubstring("/api/v1/namespaces/default/configmaps")))
	s.Stop() // and again at the end, which does nothing
}
