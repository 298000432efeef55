package nodelifecycle

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coracle-k8s/coracle/apis/histogram"
)

// metrics has upstream's names.
type metrics struct {
	evictions *prometheus.CounterVec
	health    prometheus.Histogram
	zones     zoneCollector
}

func newMetrics(fares func() []fare) metrics {
	gauge := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("node_collector_"+name, help, []string{"zone"}, nil)
	}
	return metrics{
		evictions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Subsystem: "node_collector", Name: "evictions_total",
			Help: "Number of Node evictions that happened since current instance of NodeController started.",
		}, []string{"zone"}),
		health: histogram.New(prometheus.HistogramOpts{
			Subsystem: "node_collector", Name: "update_node_health_duration_seconds",
			Help:    "[ALPHA] Duration in seconds for NodeController to update the health of a single node.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}),
		zones: zoneCollector{
			fares:     fares,
			size:      gauge("zone_size", "Gauge measuring number of registered Nodes per zones."),
			health:    gauge("zone_health", "Gauge measuring percentage of healthy nodes per zone."),
			unhealthy: gauge("unhealthy_nodes_in_zone", "Gauge measuring number of not Ready Nodes per zones."),
		},
	}
}

// zoneCollector reads the zones at each scrape, so that they cost nothing otherwise.
type zoneCollector struct {
	fares                   func() []fare
	size, health, unhealthy *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (z zoneCollector) Describe(out chan<- *prometheus.Desc) {
	out <- z.size
	out <- z.health
	out <- z.unhealthy
}

// Collect implements prometheus.Collector.
func (z zoneCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, zone string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, zone)
	}
	for _, f := range z.fares() {
		size := f.ready + f.unready
		health := 100.0
		if size > 0 {
			health = 100 * float64(f.ready) / float64(size)
		}
		gauge(z.size, float64(size), f.zone)
		gauge(z.health, health, f.zone)
		gauge(z.unhealthy, float64(f.unready), f.zone)
	}
}

// Collectors returns the metrics, to be registered with the registry of the
// process or cluster.
func (r *Reconciler) Collectors() []prometheus.Collector {
	return []prometheus.Collector{r.metrics.evictions, r.metrics.health, r.metrics.zones}
}
