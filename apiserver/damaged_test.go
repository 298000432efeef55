package apiserver_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/coracle-k8s/coracle/apiserver"
	"github.com/coracle-k8s/coracle/apiserver/etcd"
)

// One object that cannot be decoded keeps lists and watches of its resource from
// being answered, and nothing else. It is reported once, and can be deleted.
func TestDamagedObject(t *testing.T) {
	g := NewWithT(t)
	const maps = "/api/v1/namespaces/default/configmaps"
	dir := t.TempDir()
	in := func(c *apiserver.Config) { c.Etcd.Dir = dir }
	s := start(t, in)
	response, answer := s.do(t, http.MethodPost, "/api/v1/namespaces", "secret", `{"metadata":{"name":"default"}}`)
	g.Expect(response.StatusCode).To(Equal(http.StatusCreated), answer)
	for _, name := range []string{"a", "b"} {
		response, answer := s.do(t, http.MethodPost, maps, "secret", `{"metadata":{"name":"`+name+`"}}`)
		g.Expect(response.StatusCode).To(Equal(http.StatusCreated), answer)
	}
	s.Stop()
	member, err := etcd.Start(t.Context(), etcd.Config{Dir: dir})
	g.Expect(err).NotTo(HaveOccurred())
	_, err = member.Client.Put(t.Context(), "/registry/configmaps/default/a", "k8s\x00garbage")
	g.Expect(err).NotTo(HaveOccurred())
	member.Stop()

	var mu sync.Mutex
	var reports []string
	s = start(t, in, func(c *apiserver.Config) {
		c.Report = func(err error) {
			mu.Lock()
			defer mu.Unlock()
			reports = append(reports, err.Error())
		}
	})
	defer s.Stop()
	for _, c := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{http.MethodGet, maps + "/b", "", 200, ""},
		{http.MethodPost, maps, `{"metadata":{"name":"c"}}`, 201, ""},
		{http.MethodPut, maps + "/b", `{"metadata":{"name":"b"},"data":{"x":"y"}}`, 200, ""},
		{http.MethodGet, maps, "", 429, "/registry/configmaps/default/a"},
		{http.MethodGet, maps + "/a", "", 500, ""},
		{http.MethodGet, maps + "?watch=1&timeoutSeconds=1", "", 429, ""},
		{http.MethodGet, "/api/v1/namespaces/default/secrets", "", 200, ""},
		{http.MethodDelete, maps + "/a", `{"apiVersion":"v1","kind":"DeleteOptions","ignoreStoreReadErrorWithClusterBreakingPotential":true}`, 200, ""},
	} {
		response, answer := s.do(t, c.method, c.path, "secret", c.body)
		g.Expect(response.StatusCode).To(Equal(c.code), "%s %s: %s", c.method, c.path, answer)
		g.Expect(answer).To(ContainSubstring(c.want), "%s %s", c.method, c.path)
	}
	g.Eventually(func() string {
		_, answer := s.do(t, http.MethodGet, maps, "secret", "")
		return answer
	}).Should(And(ContainSubstring(`"name":"b"`), ContainSubstring(`"name":"c"`)), "list after the deletion")
	mu.Lock()
	defer mu.Unlock()
	g.Expect(strings.Join(reports, "\n")).To(ContainSubstring("reading /registry/configmaps/default/a from etcd: the object is damaged"))
	g.Expect(reports).To(HaveLen(1))
}
