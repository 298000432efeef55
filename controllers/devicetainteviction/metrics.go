package devicetainteviction

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coracle-k8s/coracle/apis/histogram"
)

// metrics has upstream's names.
type metrics struct {
	deletions prometheus.Counter
	latency   prometheus.Histogram
}

func newMetrics() metrics {
	const subsystem = "device_taint_eviction_controller"
	return metrics{
		deletions: prometheus.NewCounter(prometheus.CounterOpts{
			Subsystem: subsystem, Name: "pod_deletions_total",
			Help: "Total number of Pods deleted by DeviceTaintEvictionController since its start.",
		}),
		latency: histogram.New(prometheus.HistogramOpts{
			Subsystem: subsystem, Name: "pod_deletion_duration_seconds",
			Help:    "Latency, in seconds, between the time when a device taint effect has been activated and a Pod's deletion via DeviceTaintEvictionController.",
			Buckets: []float64{0.005, 0.025, 0.1, 0.5, 1, 2.5, 10, 30, 60, 120, 180, 240},
		}),
	}
}

// Collectors returns the metrics, to be registered with the registry of the
// process or cluster.
func (r *Reconciler) Collectors() []prometheus.Collector {
	return []prometheus.Collector{r.metrics.deletions, r.metrics.latency}
}
