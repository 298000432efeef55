package ttlafterfinished

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coracle-k8s/coracle/apis/histogram"
)

// newLateness returns upstream's metric of how late Jobs are deleted: from 100
// ms to 27 minutes.
func newLateness() prometheus.Histogram {
	return histogram.New(prometheus.HistogramOpts{
		Subsystem: "ttl_after_finished_controller", Name: "job_deletion_duration_seconds",
		Help:    "[ALPHA] The time it took to delete the job since it became eligible for deletion",
		Buckets: prometheus.ExponentialBuckets(0.1, 2, 14),
	})
}

// Collectors returns the metrics, to be registered with a registry of the cluster.
func (r *Reconciler) Collectors() []prometheus.Collector { return []prometheus.Collector{r.lateness} }
