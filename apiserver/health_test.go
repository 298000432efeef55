package apiserver_test

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/coracle-k8s/coracle/apiserver"
)

// leftOut are checks of upstream's that are not here, with the reason.
var leftOut = map[string]string{
	"loopback-serving-certificate":                      "requests of the process itself need no connection, and no certificate",
	"poststarthook/peer-endpoint-reconciler-controller": "no server passes requests on to another",
}

// ofClusters returns the hooks that the cluster around a server has checks for.
func ofClusters() []string {
	return []string{"start-system-namespaces-controller", "start-cluster-authentication-info-controller", "start-kube-apiserver-identity-lease-controller",
		"start-kube-apiserver-identity-lease-garbage-collector", "start-legacy-token-tracking-controller", "start-service-ip-repair-controllers", "bootstrap-controller"}
}

// TestHealthChecks compares the checks with those of upstream v1.37.1, recorded in
// testdata/health.txt: the same names in the same order, each by its own path.
func TestHealthChecks(t *testing.T) {
	g := NewWithT(t)
	broken := errors.New("not finished")
	s := start(t, func(c *apiserver.Config) {
		c.Checks = map[string]func() error{}
		for _, name := range ofClusters() {
			c.Checks[name] = func() error { return nil }
		}
		c.Checks["bootstrap-controller"] = func() error { return broken }
	})
	defer s.Stop()
	recorded, err := os.ReadFile("testdata/health.txt")
	g.Expect(err).NotTo(HaveOccurred())
	for part := range strings.SplitSeq(strings.TrimPrefix(string(recorded), "# "), "\n# ") {
		lines := strings.Split(strings.TrimSpace(part), "\n")
		root, want := "/"+lines[0], ""
		for _, name := range lines[1:] {
			if leftOut[name] != "" {
				response, _ := s.do(t, http.MethodGet, root+"/"+name, "secret", "")
				g.Expect(response.StatusCode).To(Equal(http.StatusNotFound), "%s: %s", name, leftOut[name])
				continue
			}
			failing := name == "poststarthook/bootstrap-controller"
			if failing {
				want += "[-]" + name + " failed: reason withheld\n"
			} else {
				want += "[+]" + name + " ok\n"
			}
			g.Eventually(func() bool {
				response, _ := s.do(t, http.MethodGet, root+"/"+name, "secret", "")
				return response.StatusCode == http.StatusOK
			}).Should(Equal(!failing), root+"/"+name)
		}
		_, body := s.do(t, http.MethodGet, root+"?verbose", "secret", "")
		g.Expect(body).To(HavePrefix(want), root)
	}
}

// TestHealthDoesNotFlap asks for what is made on demand, after the server was ready:
// the checks of what it begins stay passed.
func TestHealthDoesNotFlap(t *testing.T) {
	g := NewWithT(t)
	s := start(t, func(c *apiserver.Config) {
		c.Tokens["eve"] = &user.DefaultInfo{Name: "eve", Groups: []string{user.AllAuthenticated}}
	})
	defer s.Stop()
	s.awaitReady(t)
	for _, path := range []string{"/api/v1/pods", "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas", "/apis/apiregistration.k8s.io/v1/apiservices",
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "/apis/apps/v1/deployments"} {
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			for _, token := range []string{"eve", "secret"} {
				s.do(t, http.MethodGet, path, token, "")
			}
		}()
		for done := false; !done; {
			select {
			case <-asked:
				done = true
			default:
			}
			for _, root := range []string{"/livez?verbose", "/readyz?verbose"} {
				response, body := s.do(t, http.MethodGet, root, "secret", "")
				g.Expect(response.StatusCode).To(Equal(http.StatusOK), "%s while %s: %s", root, path, body)
			}
		}
	}
}
