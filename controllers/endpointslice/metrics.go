package endpointslice

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/histogram"
	"github.com/coracle-k8s/coracle/controllers/internal/scrape"
	"github.com/coracle-k8s/coracle/controllers/internal/slicecount"
)

const subsystem = "endpoint_slice_controller"

// metrics have upstream's names.
type metrics struct {
	added, removed prometheus.Histogram
	changed        *prometheus.HistogramVec
	changes, syncs *prometheus.CounterVec
}

func newMetrics() metrics {
	perSync := func(name, help string) prometheus.Histogram {
		return histogram.New(prometheus.HistogramOpts{Subsystem: subsystem, Name: name, Help: "[BETA] " + help, Buckets: prometheus.ExponentialBuckets(2, 2, 15)})
	}
	return metrics{
		added:   perSync("endpoints_added_per_sync", "Number of endpoints added on each Service sync"),
		removed: perSync("endpoints_removed_per_sync", "Number of endpoints removed on each Service sync"),
		changed: histogram.NewVec(prometheus.HistogramOpts{Subsystem: subsystem, Name: "endpointslices_changed_per_sync", Help: "[ALPHA] Number of EndpointSlices changed on each Service sync"},
			[]string{"topology", "traffic_distribution"}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{Subsystem: subsystem, Name: "changes", Help: "[ALPHA] Number of EndpointSlice changes"}, []string{"operation"}),
		syncs:   prometheus.NewCounterVec(prometheus.CounterOpts{Subsystem: subsystem, Name: "syncs", Help: "[ALPHA] Number of EndpointSlice syncs"}, []string{"result"}),
	}
}

// Collectors returns the metrics, to be registered with a registry of the cluster.
func (r *Reconciler) Collectors() []prometheus.Collector {
	kept := slicecount.Kept{Subsystem: subsystem, Stability: "BETA", ManagedBy: ManagedBy, PerSlice: r.max}
	return append(kept.Gauges(r.client),
		r.metrics.added, r.metrics.removed, r.metrics.changed, r.metrics.changes, r.metrics.syncs,
		scrape.NewGauge(subsystem+"_services_count_by_traffic_distribution", "[BETA] Number of Services using some specific trafficDistribution", []string{"traffic_distribution"},
			func(ctx context.Context, n scrape.Counts) error {
				list, err := scrape.List[corev1.ServiceList](ctx, r.client)
				for i := range list.Items {
					if d := list.Items[i].Spec.TrafficDistribution; d != nil {
						n.Add(1, *d)
					}
				}
				return err
			}),
	)
}

// synced counts a look at a Service that led to writes, or to none.
func (m metrics) synced(o observed, planned map[discoveryv1.AddressType]*changes, err error) {
	result := "success"
	if err != nil {
		result = "error"
	}
	m.syncs.WithLabelValues(result).Inc()
	var before, after []*discoveryv1.EndpointSlice
	writes := 0
	for _, c := range planned {
		m.count("create", len(c.create))
		m.count("update", len(c.update))
		m.count("delete", len(c.remove))
		writes += len(c.create) + len(c.update) + len(c.remove)
		before = append(before, slicecount.Rewritten(o.slices, c.update, c.remove)...)
		after = append(append(after, c.create...), c.update...)
	}
	added, _, removed := slicecount.Moves(before, after)
	m.added.Observe(float64(added))
	m.removed.Observe(float64(removed))
	topology := "Disabled"
	if topologyAuto(o.service) {
		topology = "Auto"
	}
	m.changed.WithLabelValues(topology, ptr.Deref(o.service.Spec.TrafficDistribution, "")).Observe(float64(writes))
}

func (m metrics) count(operation string, n int) {
	if n > 0 {
		m.changes.WithLabelValues(operation).Add(float64(n))
	}
}
