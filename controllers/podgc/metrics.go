package podgc

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	deletions *prometheus.CounterVec
	errors    *prometheus.CounterVec
}

func newMetrics() metrics {
	labels := []string{"namespace", "reason"}
	return metrics{
		deletions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Subsystem: "pod_gc_collector",
			Name:      "force_delete_pods_total",
			Help:      "Number of pods that are being forcefully deleted since the Pod GC Controller started.",
		}, labels),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Subsystem: "pod_gc_collector",
			Name:      "force_delete_pod_errors_total",
			Help:      "Number of errors encountered when forcefully deleting the pods since the Pod GC Controller started.",
		}, labels),
	}
}

// Collectors returns the metrics, to be registered with the registry of the
// process or cluster.
func (r *Reconciler) Collectors() []prometheus.Collector {
	return []prometheus.Collector{r.metrics.deletions, r.metrics.errors}
}
