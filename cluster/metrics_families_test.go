package cluster_test

import (
	"context"
	"encoding/csv"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster"
)

// family is a metric family that upstream's kube-apiserver v1.37.1 served after some
// requests, but for those of Go and of the process.
type family struct {
	name, kind, help string
	labels           []string
}

func upstreamFamilies(g Gomega) []family {
	f, err := os.Open("testdata/metrics.csv")
	g.Expect(err).NotTo(HaveOccurred())
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	g.Expect(err).NotTo(HaveOccurred())
	var all []family
	for _, r := range rows[1:] {
		all = append(all, family{name: r[0], kind: r[1], labels: strings.Fields(r[2]), help: r[3]})
	}
	return all
}

// absent returns the families that need not be there, with the reason.
func absent(g Gomega) map[string]string {
	data, err := os.ReadFile("testdata/metrics-absent.txt")
	g.Expect(err).NotTo(HaveOccurred())
	reasons := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, reason, ok := strings.Cut(line, " | ")
		g.Expect(ok && reason != "").To(BeTrue(), line)
		reasons[name] = reason
	}
	return reasons
}

// TestMetricFamilies compares the families of /metrics with upstream's: name, type,
// help with its stability, and labels. Families that are not there have a reason.
func TestMetricFamilies(t *testing.T) {
	g := NewWithT(t)
	none := int32(0)
	c, err := cluster.Start(t.Context(), &v1alpha1.Cluster{DataDir: t.TempDir(), Listen: "127.0.0.1:0", Nodes: &none, Storage: v1alpha1.Storage{UnsafeNoFsync: true}})
	g.Expect(err).NotTo(HaveOccurred())
	defer c.Stop()
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	g.Expect(err).NotTo(HaveOccurred())
	use(t.Context(), g, config)

	reasons := absent(g)
	families := scrape(t.Context(), g, config)
	for _, want := range upstreamFamilies(g) {
		got := families[want.name]
		if got == nil {
			if reasons[want.name] == "" {
				t.Errorf("%s is missing", want.name)
			}
			continue
		}
		if got.GetHelp() != want.help || !strings.EqualFold(got.GetType().String(), want.kind) {
			t.Errorf("%s: %s %q, want %s %q", want.name, got.GetType(), got.GetHelp(), want.kind, want.help)
		}
		if labels := labelsOf(got.Metric[0]); !slices.Equal(labels, want.labels) && !slices.ContainsFunc(got.Metric, func(m *dto.Metric) bool { return slices.Equal(labelsOf(m), want.labels) }) {
			t.Errorf("%s has labels %v, want %v", want.name, labels, want.labels)
		}
		delete(reasons, want.name)
	}
	for name, reason := range reasons {
		if !slices.ContainsFunc(upstreamFamilies(g), func(f family) bool { return f.name == name }) {
			t.Errorf("%s: upstream has no such family (%s)", name, reason)
		}
	}
	native(t.Context(), g, config)
}

func labelsOf(m *dto.Metric) []string {
	var names []string
	for _, l := range m.Label {
		names = append(names, l.GetName())
	}
	slices.Sort(names)
	return names
}

// use asks the server for what families count.
func use(ctx context.Context, g Gomega, config *rest.Config) {
	kube, err := kubernetes.NewForConfig(config)
	g.Expect(err).NotTo(HaveOccurred())
	core := kube.CoreV1()
	_, err = core.Services("default").Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "np"},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	_, err = core.ServiceAccounts("default").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "sa"}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	token, err := core.ServiceAccounts("default").CreateToken(ctx, "sa", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	asAccount := rest.AnonymousClientConfig(config)
	asAccount.BearerToken = token.Status.Token
	account, err := kubernetes.NewForConfig(asAccount)
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func() []string { // the queues are made by the first request that they are for
		_, _ = account.CoreV1().Pods("default").List(ctx, metav1.ListOptions{}) // forbidden
		_, err := account.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		var missing []string
		families := scrape(ctx, g, config)
		for _, name := range []string{"apiserver_current_inqueue_requests", "apiserver_flowcontrol_request_wait_duration_seconds",
			"apiserver_flowcontrol_watch_count_samples", "apiserver_authorization_decisions_total"} {
			if families[name] == nil {
				missing = append(missing, name)
			}
		}
		return missing
	}, "30s", "100ms").Should(BeEmpty())
	wait, done := context.WithTimeout(ctx, time.Second)
	defer done()
	watch, err := core.Pods("default").Watch(wait, metav1.ListOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	watch.Stop()
	for _, path := range []string{"/openapi/v2", "/openapi/v3", "/apis", "/nothing"} {
		_, _ = kube.Discovery().RESTClient().Get().AbsPath(path).DoRaw(ctx) // whatever it answers is counted
	}
}

func scrape(ctx context.Context, g Gomega, config *rest.Config) map[string]*dto.MetricFamily {
	kube, err := kubernetes.NewForConfig(config)
	g.Expect(err).NotTo(HaveOccurred())
	text, err := kube.Discovery().RESTClient().Get().AbsPath("/metrics").SetHeader("Accept", "text/plain").DoRaw(ctx)
	g.Expect(err).NotTo(HaveOccurred())
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
	g.Expect(err).NotTo(HaveOccurred())
	return families
}

// classic are histograms of the API server's library that are no native ones upstream
// either: init registers them before the gate is read, or they weigh by time.
var classic = regexp.MustCompile(`^(go|etcd|apiserver_(admission|cel|flowcontrol|storage_data_key))_`)

// native asks for protobuf, in which all other histograms are native ones besides.
func native(ctx context.Context, g Gomega, config *rest.Config) {
	transport, err := rest.TransportFor(config)
	g.Expect(err).NotTo(HaveOccurred())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/metrics", nil)
	g.Expect(err).NotTo(HaveOccurred())
	request.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	response, err := transport.RoundTrip(request)
	g.Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	g.Expect(response.Header.Get("Content-Type")).To(ContainSubstring("io.prometheus.client.MetricFamily"))
	decoder := expfmt.NewDecoder(response.Body, expfmt.ResponseFormat(response.Header))
	found, bare := map[string]bool{}, []string{}
	for {
		var f dto.MetricFamily
		if err := decoder.Decode(&f); err != nil {
			g.Expect(err).To(MatchError(io.EOF))
			break
		}
		if f.GetType() != dto.MetricType_HISTOGRAM {
			continue
		}
		h := f.Metric[0].Histogram
		g.Expect(h.Bucket).NotTo(BeEmpty(), f.GetName())
		found[f.GetName()] = true
		if h.Schema == nil && !classic.MatchString(f.GetName()) {
			bare = append(bare, f.GetName())
		}
	}
	g.Expect(bare).To(BeEmpty())
	for _, name := range []string{"apiserver_request_duration_seconds", "workqueue_queue_duration_seconds", "scheduler_scheduling_algorithm_duration_seconds", "rest_client_request_duration_seconds"} {
		g.Expect(found).To(HaveKey(name))
	}
}
