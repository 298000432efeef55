package apiserver_test

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/util/sets"
)

// exchange is a request and what kube-apiserver v1.37.1 answered. Of bodies, only
// what does not change from run to run is kept; see steady.
type exchange struct {
	Method, Path, Type string
	Body               any `json:",omitempty"`
	Code               int
	Answer             any
	Warnings           []string `json:",omitempty"`
}

// TestAnswersOfUpstream sends good and bad objects of every kind but those of core/v1
// and expects upstream's answers, word by word. testdata/answers.json.gz is a list of
// names and exchanges, recorded from a server without controllers.
func TestAnswersOfUpstream(t *testing.T) {
	s := start(t)
	defer s.Stop()
	s.compareAnswers(t, "testdata/answers.json.gz")
}

// TestAnswersOfUpstreamInVersions does so in beta and alpha versions.
func TestAnswersOfUpstreamInVersions(t *testing.T) {
	s := start(t, enabling(t, map[string]string{"api/all": "true"}))
	defer s.Stop()
	s.compareAnswers(t, "testdata/answers_versions.json.gz")
}

// compareAnswers sends what a file holds, and deletes what each case made.
func (s *server) compareAnswers(t *testing.T, name string) {
	t.Helper()
	g := NewWithT(t)
	file, err := os.Open(name)
	g.Expect(err).NotTo(HaveOccurred())
	defer file.Close()
	data, err := gzip.NewReader(file)
	g.Expect(err).NotTo(HaveOccurred())
	var cases []struct {
		Name      string
		Exchanges []exchange
	}
	g.Expect(json.NewDecoder(data).Decode(&cases)).To(Succeed())
	g.Expect(cases).NotTo(BeEmpty())

	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.authority.Pool()}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	response, body := s.do(t, http.MethodPost, "/api/v1/namespaces", "secret", `{"metadata":{"name":"default"}}`)
	g.Expect(response.StatusCode).To(Equal(http.StatusCreated), body)
	for _, c := range cases {
		var version, uid string // of the object, which an update must name
		for _, e := range c.Exchanges {
			code, warnings, answer := s.exchange(t, client, e, version, uid)
			version, uid = identity(answer)
			if code != e.Code {
				t.Errorf("%s: %s %s: %d, upstream %d\n%s", c.Name, e.Method, e.Path, code, e.Code, text(answer))
				break
			}
			if got := steady(answer); !reflect.DeepEqual(got, e.Answer) {
				t.Errorf("%s: %s %s:\ngot      %s\nupstream %s", c.Name, e.Method, e.Path, text(got), text(e.Answer))
			}
			if !reflect.DeepEqual(warnings, e.Warnings) {
				t.Errorf("%s: %s %s: warnings %q, upstream %q", c.Name, e.Method, e.Path, warnings, e.Warnings)
			}
		}
		// The server may act on the new object, as on webhooks.
		if name := nameOf(c.Exchanges[0].Answer); name != "" && c.Exchanges[0].Code == http.StatusCreated {
			response, body := s.do(t, http.MethodDelete, c.Exchanges[0].Path+"/"+name, "secret", "")
			g.Expect(response.StatusCode).To(BeNumerically("<", 300), "deleting after %s: %s", c.Name, body)
		}
	}
}

func (s *server) exchange(t *testing.T, client *http.Client, e exchange, version, uid string) (int, []string, any) {
	t.Helper()
	g := NewWithT(t)
	var body []byte
	if e.Body != nil {
		if o, ok := e.Body.(map[string]any); ok && e.Method == http.MethodPut {
			if meta, ok := o["metadata"].(map[string]any); ok {
				meta["resourceVersion"] = version
			}
		}
		var err error
		body, err = json.Marshal(e.Body)
		g.Expect(err).NotTo(HaveOccurred())
		if e.Method == http.MethodPut { // the labels of Jobs have it
			body = uids.ReplaceAll(body, []byte(uid))
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), e.Method, s.url+e.Path, bytes.NewReader(body))
	g.Expect(err).NotTo(HaveOccurred())
	req.Header.Set("Authorization", "Bearer secret")
	req.Header.Set("User-Agent", "diff") // as recorded: it owns the fields
	if e.Type != "" {
		req.Header.Set("Content-Type", e.Type)
	}
	response, err := client.Do(req)
	g.Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	g.Expect(err).NotTo(HaveOccurred())
	var answer any
	g.Expect(json.Unmarshal(data, &answer)).To(Succeed(), "%s %s: %s", e.Method, e.Path, data)
	return response.StatusCode, response.Header.Values("Warning"), answer
}

func identity(answer any) (version, uid string) {
	o, _ := answer.(map[string]any)
	meta, _ := o["metadata"].(map[string]any)
	version, _ = meta["resourceVersion"].(string)
	uid, _ = meta["uid"].(string)
	return version, uid
}

func nameOf(answer any) string {
	o, _ := answer.(map[string]any)
	meta, _ := o["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	return name
}

var (
	uids  = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	times = regexp.MustCompile(`20\d\d-\d\d-\d\dT[0-9:.]+Z`)
	fresh = sets.New("uid", "creationTimestamp", "resourceVersion", "managedFields", "timeAdded", "deletionTimestamp", "extra")
)

// steady leaves out of an answer what differs from run to run.
func steady(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, item := range v {
			if !fresh.Has(k) {
				out[k] = steady(item)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = steady(v[i])
		}
		return out
	case string:
		return times.ReplaceAllString(uids.ReplaceAllString(v, "UID"), "TIME")
	}
	return v
}

func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(string(data))
}
