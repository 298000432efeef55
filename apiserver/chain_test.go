package apiserver

import (
	"net/http"
	"net/http/httptest"
	"testing"

	. "github.com/onsi/gomega"
)

func fallOver(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/fault":
		panic("a fault")
	case "/abort":
		panic(http.ErrAbortHandler)
	}
}

// TestPanicsAreReported names the request, the value and the function of a panic, which
// goes on to the recovery.
func TestPanicsAreReported(t *testing.T) {
	for path, want := range map[string][]string{"/fault": {"GET /fault panicked: a fault", "apiserver.fallOver"}, "/abort": nil, "/fine": nil} {
		g := NewWithT(t)
		var reported []string
		h := withReportedPanics(http.HandlerFunc(fallOver), func(err error) { reported = append(reported, err.Error()) })
		serve := func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil)) }
		if path == "/fine" {
			serve()
		} else {
			g.Expect(serve).To(Panic())
		}
		if want == nil {
			g.Expect(reported).To(BeEmpty(), path)
			continue
		}
		g.Expect(reported).To(HaveLen(1))
		for _, part := range want {
			g.Expect(reported[0]).To(ContainSubstring(part))
		}
	}
}
