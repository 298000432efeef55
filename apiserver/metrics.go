package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	handlersmetrics "k8s.io/apiserver/pkg/endpoints/handlers/metrics"
	apimetrics "k8s.io/apiserver/pkg/endpoints/metrics"
	"k8s.io/apiserver/pkg/server/mux"
	cachermetrics "k8s.io/apiserver/pkg/storage/cacher/metrics"
	etcd3metrics "k8s.io/apiserver/pkg/storage/etcd3/metrics"
	storagemetrics "k8s.io/apiserver/pkg/storage/metrics"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	flowcontrolmetrics "k8s.io/apiserver/pkg/util/flowcontrol/metrics"
	proxymetrics "k8s.io/apiserver/pkg/util/proxy/metrics"
	"k8s.io/component-base/featuregate"
	metricsfeatures "k8s.io/component-base/metrics/features"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/component-base/metrics/prometheus/slis"
)

// installMetrics serves /metrics under upstream's names. The libraries' metrics are
// of the whole process. Metrics of this server's storage are read at each scrape.
func (s *Server) installMetrics(m *mux.PathRecorderMux) {
	for _, register := range []func(){
		apimetrics.Register, storagemetrics.Register, cachermetrics.Register, etcd3metrics.Register,
		flowcontrolmetrics.Register, handlersmetrics.Register, proxymetrics.Register,
	} {
		register()
	}
	gatherers := slices.Concat([]prometheus.Gatherer{legacyregistry.DefaultGatherer, s.ownMetrics(), s.access.Metrics}, s.config.Metrics)
	answer := promhttp.HandlerFor(merged(gatherers), promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	m.Handle("/metrics", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.observeSizes(r.Context())
		answer.ServeHTTP(w, r)
	}))
	slis.SLIMetrics{}.Install(m)
}

// ownMetrics returns the metrics that the libraries do not have.
func (s *Server) ownMetrics() *prometheus.Registry {
	version := newEffectiveVersion()
	info := version.Info()
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "kubernetes_build_info",
		Help: "[BETA] A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.",
		ConstLabels: prometheus.Labels{
			"major": info.Major, "minor": info.Minor, "git_version": info.GitVersion, "git_commit": info.GitCommit, "git_tree_state": info.GitTreeState,
			"build_date": info.BuildDate, "go_version": info.GoVersion, "compiler": info.Compiler, "platform": info.Platform,
		}})
	build.Set(1)
	size := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "apiserver_storage_size_bytes",
		Help:        "[STABLE] Size of the storage database file physically allocated in bytes.",
		ConstLabels: prometheus.Labels{"storage_cluster_id": "etcd-0"}}, s.databaseSize)
	r := prometheus.NewRegistry()
	compatible := prometheus.NewGauge(prometheus.GaugeOpts{Name: "version_info",
		Help:        "[ALPHA] Provides the compatibility version info of the component. The component label is the name of the component, usually kube, but is relevant for aggregated-apiservers.",
		ConstLabels: prometheus.Labels{"component": "kube", "binary": version.BinaryVersion().String(), "emulation": version.EmulationVersion().String(), "min_compat": version.MinCompatibilityVersion().String()}})
	compatible.Set(1)
	r.MustRegister(build, size, compatible, features(), s.connections)
	return r
}

// features returns the feature gates of the libraries that the server is made of.
func features() *prometheus.GaugeVec {
	enabled := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "kubernetes_feature_enabled",
		Help: "[BETA] This metric records the data about the stage and enablement of a k8s feature."}, []string{"name", "stage"})
	for name, spec := range utilfeature.DefaultMutableFeatureGate.GetAll() {
		value := 0.0
		if utilfeature.DefaultFeatureGate.Enabled(name) {
			value = 1
		}
		enabled.WithLabelValues(string(name), string(spec.PreRelease)).Set(value)
	}
	return enabled
}

// nativeHistograms makes histograms of the libraries native ones besides, as
// upstream's gate NativeHistograms does, which is on. It holds for the process and
// for histograms that are registered afterwards.
func nativeHistograms() error {
	gate := featuregate.NewVersionedFeatureGate(newEffectiveVersion().BinaryVersion())
	if err := metricsfeatures.AddFeatureGates(gate); err != nil {
		return fmt.Errorf("reading the gate of native histograms: %w", err)
	}
	metricsfeatures.ApplyFeatureGates(gate)
	return nil
}

// databaseSize returns -1 when etcd does not answer.
func (s *Server) databaseSize() float64 {
	ctx, cancel := context.WithTimeout(s.ctx, etcdPatience)
	defer cancel()
	endpoint := ""
	if all := s.config.Etcd.Endpoints; len(all) > 0 {
		endpoint = all[0]
	}
	status, err := s.etcd.Client.Client.Status(ctx, endpoint)
	if err != nil {
		return -1
	}
	return float64(status.DbSize)
}

// observeSizes sets apiserver_resource_objects and its kin.
func (s *Server) observeSizes(ctx context.Context) {
	for _, store := range s.dispatcher.Opened() {
		stats, err := store.Storage.Stats(ctx)
		etcd3metrics.UpdateStoreStats(store.DefaultQualifiedResource, stats, err)
	}
}

// merged gathers from all, as one. A metric that describes the process is taken
// from the first gatherer that has it.
type merged []prometheus.Gatherer

var _ prometheus.Gatherer = merged{}

// Gather implements prometheus.Gatherer.
func (m merged) Gather() ([]*dto.MetricFamily, error) {
	byName := map[string]*dto.MetricFamily{}
	var errs []error
	for _, g := range m {
		families, err := g.Gather()
		errs = append(errs, err)
		for _, f := range families {
			have := byName[f.GetName()]
			if have == nil {
				byName[f.GetName()] = f
			} else if have.GetType() == f.GetType() {
				addMissing(have, f)
			}
		}
	}
	all := make([]*dto.MetricFamily, 0, len(byName))
	for _, f := range byName {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return all, errors.Join(errs...)
}

// addMissing adds the series of from whose labels to has not.
func addMissing(to, from *dto.MetricFamily) {
	seen := make(map[string]bool, len(to.Metric))
	for _, m := range to.Metric {
		seen[seriesKey(m)] = true
	}
	for _, m := range from.Metric {
		if !seen[seriesKey(m)] {
			to.Metric = append(to.Metric, m)
		}
	}
}

func seriesKey(m *dto.Metric) string {
	var b strings.Builder
	for _, l := range m.Label {
		b.WriteString(l.GetName() + "\x00" + l.GetValue() + "\x00")
	}
	return b.String()
}
