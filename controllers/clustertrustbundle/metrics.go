package clustertrustbundle

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coracle-k8s/coracle/controllers/internal/syncs"
)

// newMetrics has upstream's names.
func newMetrics() syncs.Counter {
	return syncs.New("clustertrustbundle_publisher",
		"Number of syncs that occurred in cluster trust bundle publisher.", "The time it took to sync a cluster trust bundle.")
}

// Collectors returns the metrics, to be registered with a registry of the cluster.
func (p *Publisher) Collectors() []prometheus.Collector { return p.metrics.Collectors() }
