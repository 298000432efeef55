package endpointslicemirroring

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/coracle-k8s/coracle/apis/histogram"
	"github.com/coracle-k8s/coracle/controllers/internal/slicecount"
)

const subsystem = "endpoint_slice_mirroring_controller"

// metrics have upstream's names.
type metrics struct {
	added, updated, removed, skipped, duration prometheus.Histogram
	changes                                    *prometheus.CounterVec
}

func newMetrics() metrics {
	histogram := func(name, help string, first float64) prometheus.Histogram {
		return histogram.New(prometheus.HistogramOpts{Subsystem: subsystem, Name: name, Help: "[ALPHA] " + help, Buckets: prometheus.ExponentialBuckets(first, 2, 15)})
	}
	return metrics{
		added:    histogram("endpoints_added_per_sync", "Number of endpoints added on each Endpoints sync", 2),
		updated:  histogram("endpoints_updated_per_sync", "Number of endpoints updated on each Endpoints sync", 2),
		removed:  histogram("endpoints_removed_per_sync", "Number of endpoints removed on each Endpoints sync", 2),
		skipped:  histogram("addresses_skipped_per_sync", "Number of addresses skipped on each Endpoints sync due to being invalid or exceeding MaxEndpointsPerSubset", 2),
		duration: histogram("endpoints_sync_duration", "Duration of syncEndpoints() in seconds", 0.001),
		changes:  prometheus.NewCounterVec(prometheus.CounterOpts{Subsystem: subsystem, Name: "changes", Help: "[ALPHA] Number of EndpointSlice changes"}, []string{"operation"}),
	}
}

// Collectors returns the metrics, to be registered with a registry of the cluster.
func (r *Reconciler) Collectors() []prometheus.Collector {
	m := r.metrics
	kept := slicecount.Kept{Subsystem: subsystem, Stability: "ALPHA", ManagedBy: ManagedBy, PerSlice: MaxPerSubset}
	return append(kept.Gauges(r.client), m.added, m.updated, m.removed, m.skipped, m.duration, m.changes)
}

// planned counts what a look at one Endpoints is about to change.
func (m metrics) planned(p Plan, have []*discoveryv1.EndpointSlice) {
	after := append(append([]*discoveryv1.EndpointSlice(nil), p.Create...), p.Update...)
	added, updated, removed := slicecount.Moves(slicecount.Rewritten(have, p.Update, p.Delete), after)
	m.added.Observe(float64(added))
	m.updated.Observe(float64(updated))
	m.removed.Observe(float64(removed))
	m.skipped.Observe(float64(p.Invalid + p.Skipped))
}

func (m metrics) wrote(operation string) { m.changes.WithLabelValues(operation).Inc() }

func (m metrics) synced(began time.Time) { m.duration.Observe(time.Since(began).Seconds()) }
