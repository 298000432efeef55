package garbagecollector

import "github.com/prometheus/client_golang/prometheus"

// newSyncErrors returns upstream's metric of kinds that could not be monitored.
func newSyncErrors() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{
		Subsystem: "garbagecollector_controller", Name: "resources_sync_error_total",
		Help: "[ALPHA] Number of garbage collector resources sync errors",
	})
}

// Collectors returns the metrics, to be registered with a registry of the cluster.
func (r *Reconciler) Collectors() []prometheus.Collector { return []prometheus.Collector{r.syncErrors} }
