package ephemeralvolume

import "github.com/prometheus/client_golang/prometheus"

// metrics have upstream's names.
type metrics struct{ creates, failures prometheus.Counter }

func newMetrics() metrics {
	const subsystem, help = "ephemeral_volume_controller", "[ALPHA] Number of PersistentVolumeClaim creation requests"
	return metrics{
		creates:  prometheus.NewCounter(prometheus.CounterOpts{Subsystem: subsystem, Name: "create_total", Help: help}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Subsystem: subsystem, Name: "create_failures_total", Help: help}),
	}
}

// Collectors returns the metrics, to be registered with a registry of the cluster.
func (r *Reconciler) Collectors() []prometheus.Collector {
	return []prometheus.Collector{r.metrics.creates, r.metrics.failures}
}
