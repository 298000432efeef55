//go:build linux

package node

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
)

func fetch(g Gomega, address string) (int, string) {
	response, err := http.Get(address)
	g.Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	g.Expect(err).NotTo(HaveOccurred())
	return response.StatusCode, string(b)
}

func TestLogsAndExec(t *testing.T) {
	g := NewWithT(t)
	n := start(t)
	server := httptest.NewServer(n.agent.Handler())
	defer server.Close()
	n.create(pod("p", "serve", ":8080"))
	n.await("ready", "p", ready)

	g.Eventually(func(g Gomega) {
		_, text := fetch(g, server.URL+"/containerLogs/default/p/main?tailLines=1")
		g.Expect(text).To(Equal("serving on :8080\n"))
	}).Should(Succeed())
	code, text := fetch(g, server.URL+"/containerLogs/default/p/none")
	g.Expect(code).To(Equal(http.StatusNotFound))
	g.Expect(text).To(ContainSubstring(`container "none" not found in pod`))
	code, text = fetch(g, server.URL+"/pods")
	g.Expect(code).To(Equal(http.StatusOK))
	g.Expect(text).To(ContainSubstring(`"name":"p"`))
	code, text = fetch(g, server.URL+"/stats/summary")
	g.Expect(code).To(Equal(http.StatusOK), text)

	u, err := url.Parse(server.URL + "/exec/default/p/main?command=/program&command=cat&command=/etc/hosts&output=1&error=1")
	g.Expect(err).NotTo(HaveOccurred())
	exec, err := remotecommand.NewSPDYExecutor(&rest.Config{Host: server.URL}, "POST", u)
	g.Expect(err).NotTo(HaveOccurred())
	var out bytes.Buffer
	g.Expect(exec.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: &out, Stderr: io.Discard})).To(Succeed())
	g.Expect(out.String()).To(ContainSubstring("Kubernetes-managed hosts file"))
	g.Expect(out.String()).To(ContainSubstring(n.get("p").Status.PodIP + "\tp"))
}
