package agent

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	testclock "k8s.io/utils/clock/testing"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster/jointoken"
)

func TestTimeToRenewal(t *testing.T) {
	now := time.Unix(0, 0)
	for _, c := range []struct{ left, want time.Duration }{
		{90 * time.Hour, 60 * time.Hour},
		{2 * time.Minute, renewRetry},
		{-time.Hour, renewRetry},
	} {
		if got := renewIn(now, now.Add(c.left)); got != c.want {
			t.Errorf("with %s left: got %s, want %s", c.left, got, c.want)
		}
	}
}

func TestAgentConfigIsChecked(t *testing.T) {
	token := jointoken.Join(jointoken.Pin{}, "abcdef.0123456789abcdef")
	for want, config := range map[string]Config{
		`server "10.0.0.1:6443" is not a URL`:    {Server: "10.0.0.1:6443", Token: token},
		"the join token is not one":              {Server: "https://10.0.0.1:6443", Token: "x"},
		"has not joined yet needs a token":       {Server: "https://10.0.0.1:6443", DataDir: t.TempDir()},
		`node address "nowhere" is not an IP`:    {Server: "https://10.0.0.1:6443", Token: token, Node: v1alpha1.Node{Address: "nowhere"}},
		`node.name: Invalid value: "Not_A_Name"`: {Server: "https://10.0.0.1:6443", Token: token, Node: v1alpha1.Node{Name: "Not_A_Name"}},
	} {
		if _, err := config.complete(); err == nil {
			t.Errorf("want %q", want)
		} else {
			NewWithT(t).Expect(err).To(MatchError(ContainSubstring(want)))
		}
	}
}

// The joiner waits for the time in Retry-After.
func TestJoinerHonoursRetryAfter(t *testing.T) {
	g := NewWithT(t)
	asked := make(chan struct{}, 2)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked <- struct{}{}; len(asked) < 2 {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, "that was all")
	}))
	defer server.Close()
	to, err := url.Parse(server.URL)
	g.Expect(err).NotTo(HaveOccurred())
	pin := fmt.Sprintf("%x", sha256.Sum256(server.Certificate().Raw)) // the certificate is its own authority
	clock := testclock.NewFakeClock(time.Now())
	j := &Joiner{Server: to, Token: pin + ".abcdef.0123456789abcdef", Node: "n", Address: "127.0.0.1", Dir: t.TempDir(), Clock: clock}
	ended := make(chan error, 1)
	go func() {
		_, err := j.JoinPatiently(t.Context(), func(string) {})
		ended <- err
	}()
	g.Eventually(clock.HasWaiters).Should(BeTrue(), "it waits")
	clock.Step(7*time.Second - time.Millisecond)
	g.Consistently(asked).WithTimeout(100 * time.Millisecond).Should(HaveLen(1))
	clock.Step(time.Millisecond)
	g.Eventually(ended).Should(Receive(MatchError(ContainSubstring("that was all"))))
}
