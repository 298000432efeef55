package inprocess

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
)

func serving(t *testing.T, h http.HandlerFunc) (*Transport, *http.Client) {
	transport := New(&user.DefaultInfo{Name: "me"})
	transport.Serve(h)
	t.Cleanup(func() {
		transport.Stop()
		goleak.VerifyNone(t)
	})
	return transport, &http.Client{Transport: transport}
}

func TestRequestCarriesBodyUserAndStatus(t *testing.T) {
	g := NewWithT(t)
	_, client := serving(t, func(w http.ResponseWriter, r *http.Request) {
		u, _ := request.UserFrom(r.Context())
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-User", u.GetName())
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.RequestURI, body)
	})
	response, err := client.Post("http://x/a?b=c", "text/plain", strings.NewReader("hello"))
	g.Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(body)).To(Equal("POST /a?b=c hello"))
	g.Expect(response.StatusCode).To(Equal(http.StatusCreated))
	g.Expect(response.Header.Get("X-User")).To(Equal("me"))
}

func TestStreamIsReadAsItIsWritten(t *testing.T) {
	g := NewWithT(t)
	next, ended := make(chan string), make(chan struct{})
	_, client := serving(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		w.(http.Flusher).Flush()
		for {
			select {
			case line := <-next:
				fmt.Fprintln(w, line)
			case <-r.Context().Done():
				return
			}
		}
	})
	response, err := client.Get("http://x/watch")
	g.Expect(err).NotTo(HaveOccurred())
	lines := bufio.NewScanner(response.Body)
	for _, want := range []string{"one", "two"} {
		next <- want
		g.Expect(lines.Scan()).To(BeTrue())
		g.Expect(lines.Text()).To(Equal(want))
	}
	g.Expect(response.Body.Close()).To(Succeed())
	<-ended // closing the body ends the request's context
}

func TestHandlerThatNobodyReadsEnds(t *testing.T) {
	g := NewWithT(t)
	ended := make(chan error, 1)
	_, client := serving(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(w, endless{})
		ended <- err
	})
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://x/", nil)
	response, err := client.Do(req)
	g.Expect(err).NotTo(HaveOccurred())
	cancel()
	g.Expect(<-ended).To(HaveOccurred())
	response.Body.Close()
}

func TestRequestsWaitForServeAndEndWithStop(t *testing.T) {
	g := NewWithT(t)
	transport := New(&user.DefaultInfo{})
	client := &http.Client{Transport: transport}
	got := make(chan error, 1)
	go func() {
		response, err := client.Get("http://x/")
		if err == nil {
			response.Body.Close()
		}
		got <- err
	}()
	transport.Serve(http.NotFoundHandler())
	g.Expect(<-got).NotTo(HaveOccurred())
	transport.Stop()
	_, err := client.Get("http://x/")
	g.Expect(err).To(MatchError(ContainSubstring("stopped")))
	goleak.VerifyNone(t)
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestPanicEndsItsRequestAlone(t *testing.T) {
	g := NewWithT(t)
	_, client := serving(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" {
			fmt.Fprint(w, "begun")
		}
		if r.URL.Path != "/fine" {
			panic("a mistake")
		}
	})
	for path, code := range map[string]int{"/early": http.StatusInternalServerError, "/late": http.StatusOK} {
		response, err := client.Get("http://x" + path)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(response.StatusCode).To(Equal(code))
		_, err = io.ReadAll(response.Body)
		g.Expect(err).To(MatchError(io.ErrUnexpectedEOF), path)
		response.Body.Close()
	}
	response, err := client.Get("http://x/fine")
	g.Expect(err).NotTo(HaveOccurred())
	response.Body.Close()
	g.Expect(response.StatusCode).To(Equal(http.StatusOK))
}

func TestApplyIsAnsweredAsJSON(t *testing.T) {
	g := NewWithT(t)
	_, client := serving(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("Accept")) })
	for content, accept := range map[string]string{"application/apply-patch+yaml": "application/json", "application/merge-patch+json": "application/vnd.kubernetes.protobuf"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, "http://x/", strings.NewReader("{}"))
		g.Expect(err).NotTo(HaveOccurred())
		request.Header.Set("Content-Type", content)
		request.Header.Set("Accept", "application/vnd.kubernetes.protobuf")
		response, err := client.Do(request)
		g.Expect(err).NotTo(HaveOccurred())
		body, err := io.ReadAll(response.Body)
		g.Expect(err).NotTo(HaveOccurred())
		response.Body.Close()
		g.Expect(string(body)).To(Equal(accept))
	}
}

// TestRequestOfRequestIsItsOwn sends a request with the context of another one, as
// handlers do: it ends with that, and shares nothing else with it.
func TestRequestOfRequestIsItsOwn(t *testing.T) {
	g := NewWithT(t)
	type key struct{}
	values, ended := make(chan any, 1), make(chan struct{})
	_, client := serving(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		values <- r.Context().Value(key{})
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "the outer request's"))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://x/", nil)
	g.Expect(err).NotTo(HaveOccurred())
	go func() {
		g.Expect(<-values).To(BeNil())
		cancel()
	}()
	response, err := client.Do(req)
	if err == nil {
		response.Body.Close()
	}
	g.Eventually(ended).Should(BeClosed())
}
