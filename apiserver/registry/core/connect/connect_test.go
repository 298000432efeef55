package connect

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
)

// answers keeps the error that a handler reports.
type answers struct{ err error }

func (*answers) Object(int, runtime.Object) {}
func (a *answers) Error(err error)          { a.err = err }

// What a node reports of itself may be no address and no port: that is refused, by everything that
// connects to nodes.
func TestLocationsThatAreNoURLs(t *testing.T) {
	for _, host := range []string{"n:-1", "n:x", "a b:1", "[::1:1", "%zz"} {
		location := &url.URL{Scheme: "https", Host: host, Path: "/pods"}
		if host == "%zz" {
			location.Path, location.Opaque = "", "//%zz"
		}
		for name, handler := range map[string]func(*answers) http.Handler{
			"proxy":       func(a *answers) http.Handler { return Proxy(location, http.DefaultTransport, a) },
			"exec":        func(a *answers) http.Handler { return Remote(location, http.DefaultTransport, Streams{}, a) },
			"portforward": func(a *answers) http.Handler { return PortForward(location, http.DefaultTransport, a) },
		} {
			g, a := NewWithT(t), &answers{}
			handler(a).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
			g.Expect(apierrors.IsBadRequest(a.err)).To(BeTrue(), "%s of %s: %v", name, host, a.err)
		}
	}
}
