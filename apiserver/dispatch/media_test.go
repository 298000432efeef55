package dispatch

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// TestMediaTypesOfRouter expects upstream's router's answers for media types
// that no route has.
func TestMediaTypesOfRouter(t *testing.T) {
	const one = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf"
	const many = one + ", application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
	const patch = "415: Unsupported Media Type"
	d := &Dispatcher{codecs: serializer.NewCodecFactory(runtime.NewScheme())}
	for _, c := range []struct{ verb, accept, content, want string }{
		{"get", "", "", ""}, {"get", "*/*", "text/plain", ""}, {"get", "text/html, application/yaml;q=0.9", "", ""}, {"get", "application/json;as=Table;g=meta.k8s.io;v=v1", "", ""},
		{"get", "text/html", "", one}, {"delete", "image/*", "", one}, {"create", "x", "", one}, {"list", "text/html", "", many}, {"watch", "text/html", "", many},
		{"patch", "", "", patch}, {"patch", "", "application/json", patch}, {"patch", "text/html", "text/plain", patch},
		{"patch", "", "application/merge-patch+json; charset=utf-8", ""}, {"patch", "", "application/apply-patch+yaml", ""}, {"patch", "text/html", "application/json-patch+json", one},
	} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Header.Set("Accept", c.accept)
		req.Header.Set("Content-Type", c.content)
		got := ""
		if err := d.unroutable(nil, &request.RequestInfo{Verb: c.verb}, req); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s with Accept %q and Content-Type %q: %q, want %q", c.verb, c.accept, c.content, got, c.want)
		}
	}
}
