package apiserver_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apiserver"
)

// TestAuditLogBuffers writes events in batches, and leaves objects out of large ones.
func TestAuditLogBuffers(t *testing.T) {
	const policy = `{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[{"level":"RequestResponse","resources":[{"group":"","resources":["configmaps"]}]},{"level":"None"}]}`
	g := NewWithT(t)
	log := filepath.Join(t.TempDir(), "audit.log")
	s := start(t, func(c *apiserver.Config) {
		c.Settings.Audit = v1alpha1.Audit{PolicyFile: written(t, policy), LogPath: log, LogMode: "batch",
			LogBatch:    v1alpha1.AuditBatch{MaxSize: 3, MaxWait: metav1.Duration{Duration: time.Hour}},
			LogTruncate: v1alpha1.AuditTruncate{Enabled: true, MaxEventSize: 4000, MaxBatchSize: 20000}}
	})
	defer s.Stop()
	s.mustPost(t, "/api/v1/namespaces", `{"metadata":{"name":"default"}}`)
	const path = "/api/v1/namespaces/default/configmaps"
	lines := func() []string {
		data, err := os.ReadFile(log)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(data)), "\n")
	}
	s.mustPost(t, path, `{"metadata":{"name":"small"}}`)
	s.mustPost(t, path, fmt.Sprintf(`{"metadata":{"name":"large"},"data":{"a":%q}}`, strings.Repeat("x", 5000)))
	g.Expect(lines()).To(Equal([]string{""}), "two events wait for the third")
	s.mustPost(t, path, `{"metadata":{"name":"last"}}`)
	g.Eventually(lines).Should(HaveLen(3))
	objects := map[string]bool{}
	for _, line := range lines() {
		var e struct {
			ObjectRef     struct{ Name string }
			RequestObject json.RawMessage
			Annotations   map[string]string
		}
		g.Expect(json.Unmarshal([]byte(line), &e)).To(Succeed())
		g.Expect(e.Annotations["audit.k8s.io/truncated"] == "true").To(Equal(e.RequestObject == nil), line)
		objects[e.ObjectRef.Name] = e.RequestObject != nil
	}
	g.Expect(objects).To(Equal(map[string]bool{"small": true, "large": false, "last": true}))
}

// TestAuthorizationWebhook asks a server about a user, and keeps its answers as long as
// the settings say.
func TestAuthorizationWebhook(t *testing.T) {
	var asked atomic.Int32
	hook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		var review authorizationv1.SubjectAccessReview
		data, err := io.ReadAll(r.Body)
		if err != nil || json.Unmarshal(data, &review) != nil || review.APIVersion != "authorization.k8s.io/v1" {
			http.Error(w, "no review of v1", http.StatusBadRequest)
			return
		}
		a := review.Spec.ResourceAttributes
		review.Status.Allowed = review.Spec.User == "eve" && a != nil && a.Verb == "list" && a.Resource == "pods"
		review.Status.Reason = "asked outside"
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	}))
	defer hook.Close()
	kubeconfig := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":%q,"insecure-skip-tls-verify":true}}],"users":[{"name":"u","user":{}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}]}`, hook.URL)
	for name, c := range map[string]struct {
		ttl   *metav1.Duration
		times int32
	}{"answers are kept": {nil, 2}, "answers are not kept": {&metav1.Duration{}, 4}} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			s := start(t, func(config *apiserver.Config) {
				config.Tokens["eve"] = &user.DefaultInfo{Name: "eve"}
				config.Settings.Authorization = v1alpha1.Authorization{Modes: []string{"Webhook"},
					Webhook: v1alpha1.AuthorizationWebhook{KubeconfigFile: written(t, kubeconfig), Version: "v1", AuthorizedTTL: c.ttl, UnauthorizedTTL: c.ttl}}
			})
			defer s.Stop()
			asked.Store(0)
			for range 2 {
				response, body := s.do(t, http.MethodGet, "/api/v1/pods", "eve", "")
				g.Expect(response.StatusCode).To(Equal(http.StatusOK), body)
				response, body = s.do(t, http.MethodGet, "/api/v1/secrets", "eve", "")
				g.Expect(response.StatusCode).To(Equal(http.StatusForbidden))
				g.Expect(body).To(ContainSubstring("asked outside"))
			}
			g.Expect(asked.Load()).To(Equal(c.times))
		})
	}
}

// TestEventTTL keeps an Event for the time that is set.
func TestEventTTL(t *testing.T) {
	g := NewWithT(t)
	s := start(t, func(c *apiserver.Config) { c.Settings.EventTTL.Duration = time.Second })
	defer s.Stop()
	s.mustPost(t, "/api/v1/namespaces", `{"metadata":{"name":"default"}}`)
	s.mustPost(t, "/api/v1/namespaces/default/events", `{"metadata":{"name":"e"},"involvedObject":{"namespace":"default"}}`)
	g.Eventually(func() int {
		response, _ := s.do(t, http.MethodGet, "/api/v1/namespaces/default/events/e", "secret", "")
		return response.StatusCode
	}, "30s").Should(Equal(http.StatusNotFound), "the event is gone after its time")
}
