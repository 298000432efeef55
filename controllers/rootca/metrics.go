package rootca

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coracle-k8s/coracle/controllers/internal/syncs"
)

// newMetrics has upstream's names.
func newMetrics() syncs.Counter {
	const help = "Number of namespace syncs happened in root ca cert publisher."
	return syncs.New("root_ca_cert_publisher", help, help)
}

// Collectors returns the metrics, to be registered with a registry of the cluster.
func (r *Reconciler) Collectors() []prometheus.Collector { return r.metrics.Collectors() }
