package apiserver_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/apiserver"
)

// bound makes a level with one seat for one user, who may do all.
func bound(t *testing.T, s *server, user, response string) {
	t.Helper()
	g := NewWithT(t)
	const flows = "/apis/flowcontrol.apiserver.k8s.io/v1/"
	for path, body := range map[string]string{
		flows + "prioritylevelconfigurations": fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"type":"Limited","limited":{"nominalConcurrencyShares":1,
			"lendablePercent":0,"borrowingLimitPercent":0,"limitResponse":%s}}}`, user, response),
		flows + "flowschemas": fmt.Sprintf(`{"metadata":{"name":%[1]q},"spec":{"matchingPrecedence":2,"priorityLevelConfiguration":{"name":%[1]q},
			"rules":[{"subjects":[{"kind":"User","user":{"name":%[1]q}}],
			"resourceRules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"],"namespaces":["*"],"clusterScope":true}]}]}}`, user),
		"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings": fmt.Sprintf(`{"metadata":{"name":%[1]q},"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":%[1]q}],
			"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"}}`, user),
	} {
		answer, text := s.do(t, http.MethodPost, path, "secret", body)
		g.Expect(answer.StatusCode).To(Equal(http.StatusCreated), text)
	}
	g.Eventually(func() string {
		answer, _ := s.do(t, http.MethodGet, "/api/v1/namespaces", "secret", "", "Impersonate-User", user)
		return answer.Header.Get("X-Kubernetes-Pf-Prioritylevel-Uid")
	}).WithTimeout(20*time.Second).Should(Equal(uid(t, s, flows+"prioritylevelconfigurations/"+user)), "requests of %s are of the level", user)
}

// uid returns the UID of a stored object.
func uid(t *testing.T, s *server, path string) string {
	t.Helper()
	_, text := s.do(t, http.MethodGet, path, "secret", "")
	var o metav1.PartialObjectMetadata
	NewWithT(t).Expect(json.Unmarshal([]byte(text), &o)).To(Succeed())
	return string(o.UID)
}

// hold begins a request that keeps its seat until release, which gives the
// answer's code.
func hold(t *testing.T, s *server, user, name string) (release func() int) {
	t.Helper()
	body, in := io.Pipe()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.authority.Pool()}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/api/v1/namespaces", body)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	request.Header.Set("Authorization", "Bearer secret")
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Impersonate-User", user)
	code := make(chan int, 1)
	go func() {
		defer transport.CloseIdleConnections()
		answer, err := (&http.Client{Transport: transport}).Do(request)
		if err != nil {
			code <- 0
			return
		}
		_ = answer.Body.Close()
		code <- answer.StatusCode
	}()
	return func() int {
		fmt.Fprintf(in, `{"metadata":{"name":%q}}`, name)
		in.Close()
		return <-code
	}
}

func few(c *apiserver.Config) {
	c.Settings.MaxRequestsInFlight, c.Settings.MaxMutatingRequestsInFlight = 10, 10
}

// TestSaturatedLevel fills a level that rejects what it has no seat for.
func TestSaturatedLevel(t *testing.T) {
	g := NewWithT(t)
	ignore := goleak.IgnoreCurrent()
	s := start(t, few)
	bound(t, s, "noxu", `{"type":"Reject"}`)
	metrics := func() string {
		_, text := s.do(t, http.MethodGet, "/metrics", "secret", "")
		return text
	}
	const seats = `apiserver_flowcontrol_current_executing_requests{flow_schema="noxu",priority_level="noxu"} `
	g.Eventually(metrics).WithTimeout(20*time.Second).Should(ContainSubstring(seats+"0\n"), "the only seat is free")
	release := hold(t, s, "noxu", "held")
	g.Eventually(metrics).WithTimeout(20*time.Second).Should(ContainSubstring(seats+"1\n"), "the request has its seat")
	var answer *http.Response
	var text string
	g.Eventually(func() int {
		answer, text = s.do(t, http.MethodGet, "/api/v1/namespaces", "secret", "", "Impersonate-User", "noxu")
		return answer.StatusCode
	}).WithTimeout(20*time.Second).Should(Equal(http.StatusTooManyRequests), "the only seat is taken")
	g.Expect(answer.Header.Get("Retry-After")).To(MatchRegexp("^[1-9]"))
	g.Expect(text).To(ContainSubstring("Too many requests, please try again later."))
	answer, text = s.do(t, http.MethodGet, "/api/v1/namespaces", "secret", "", "Impersonate-User", "other", "Impersonate-Group", "system:serviceaccounts")
	g.Expect(answer.StatusCode).To(Equal(http.StatusForbidden), "others have seats of their own: %s", text)
	_, text = s.do(t, http.MethodGet, "/metrics", "secret", "")
	g.Expect(text).To(ContainSubstring(`apiserver_flowcontrol_rejected_requests_total{flow_schema="noxu",priority_level="noxu",reason="concurrency-limit"}`))
	g.Expect(release()).To(Equal(http.StatusCreated))
	g.Eventually(func() int {
		answer, _ := s.do(t, http.MethodGet, "/api/v1/namespaces", "secret", "", "Impersonate-User", "noxu")
		return answer.StatusCode
	}).WithTimeout(20*time.Second).Should(Equal(http.StatusOK), "the seat is free again")
	s.Stop()
	goleak.VerifyNone(t, ignore)
}

// TestQueueOfALevel has one request wait for its turn and turns the next away.
func TestQueueOfALevel(t *testing.T) {
	g := NewWithT(t)
	s := start(t, few)
	bound(t, s, "noxu", `{"type":"Queue","queuing":{"queues":1,"handSize":1,"queueLengthLimit":1}}`)
	metrics := func() string {
		_, text := s.do(t, http.MethodGet, "/metrics", "secret", "")
		return text
	}
	const inQueue = `apiserver_flowcontrol_current_inqueue_requests{flow_schema="noxu",priority_level="noxu"} 1`
	first := hold(t, s, "noxu", "first")
	g.Eventually(metrics).WithTimeout(20 * time.Second).Should(ContainSubstring(`apiserver_flowcontrol_current_executing_requests{flow_schema="noxu",priority_level="noxu"} 1`))
	second := hold(t, s, "noxu", "second")
	g.Eventually(metrics).WithTimeout(20 * time.Second).Should(ContainSubstring(inQueue))
	answer, text := s.do(t, http.MethodGet, "/api/v1/namespaces", "secret", "", "Impersonate-User", "noxu")
	g.Expect(answer.StatusCode).To(Equal(http.StatusTooManyRequests), text)
	g.Expect(answer.Header.Get("Retry-After")).NotTo(BeEmpty())
	g.Expect(first()).To(Equal(http.StatusCreated))
	g.Expect(second()).To(Equal(http.StatusCreated), "who waited is served")
	s.Stop()
}

// TestListsCostSeats lists objects of more than a hundred kilobytes, which
// upstream counts as one seat each.
func TestListsCostSeats(t *testing.T) {
	g := NewWithT(t)
	s := start(t)
	defer s.Stop()
	response, text := s.do(t, http.MethodPost, "/api/v1/namespaces", "secret", `{"metadata":{"name":"large"}}`)
	g.Expect(response.StatusCode).To(Equal(http.StatusCreated), text)
	for i := range 8 {
		response, text := s.do(t, http.MethodPost, "/api/v1/namespaces/large/secrets", "secret",
			fmt.Sprintf(`{"metadata":{"name":"large-%d"},"stringData":{"k":%q}}`, i, strings.Repeat("x", 70_000)))
		g.Expect(response.StatusCode).To(Equal(http.StatusCreated), text)
	}
	seats := func() float64 {
		_, text := s.do(t, http.MethodGet, "/metrics", "secret", "")
		sum := regexp.MustCompile(`apiserver_flowcontrol_work_estimated_seats_sum\{flow_schema="global-default",priority_level="global-default"\} (\S+)`).FindStringSubmatch(text)
		if sum == nil {
			return 0
		}
		n, err := strconv.ParseFloat(sum[1], 64)
		g.Expect(err).NotTo(HaveOccurred())
		return n
	}
	// Queues are made for the first request that wants them.
	g.Eventually(func() float64 {
		before := seats()
		_, _ = s.do(t, http.MethodGet, "/api/v1/secrets", "secret", "", "Impersonate-User", "noxu")
		return seats() - before
	}).WithTimeout(20*time.Second).Should(BeNumerically(">=", 2), "seats of a list of 560 kilobytes")
}
