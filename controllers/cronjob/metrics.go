package cronjob

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coracle-k8s/coracle/apis/histogram"
)

// newSkew returns upstream's metric of how late Jobs are.
func newSkew() prometheus.Histogram {
	return histogram.New(prometheus.HistogramOpts{
		Subsystem: "cronjob_controller", Name: "job_creation_skew_duration_seconds",
		Help:    "[STABLE] Time between when a cronjob is scheduled to be run, and when the corresponding job is created",
		Buckets: prometheus.ExponentialBuckets(1, 2, 10),
	})
}

// Collectors returns the metrics, to be registered with a registry of the cluster.
func (r *Reconciler) Collectors() []prometheus.Collector { return []prometheus.Collector{r.skew} }
