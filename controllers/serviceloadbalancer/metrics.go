package serviceloadbalancer

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coracle-k8s/coracle/apis/histogram"
)

// metrics have upstream's names.
type metrics struct {
	syncs      prometheus.Counter
	nodeErrors prometheus.Counter
	update     prometheus.Histogram
}

func newMetrics() metrics {
	const subsystem = "service_controller"
	return metrics{
		syncs: prometheus.NewCounter(prometheus.CounterOpts{
			Subsystem: subsystem, Name: "loadbalancer_sync_total",
			Help: "Times any load balancer has been configured, as an effect of service or node changes.",
		}),
		nodeErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Subsystem: subsystem, Name: "nodesync_error_total",
			Help: "Times configuring a load balancer failed, as an effect of node changes.",
		}),
		update: histogram.New(prometheus.HistogramOpts{
			Subsystem: subsystem, Name: "update_loadbalancer_host_latency_seconds",
			Help: "Latency of updating the hosts of one load balancer.", Buckets: prometheus.ExponentialBuckets(1, 2, 15),
		}),
	}
}

// Collectors returns the metrics, to be registered with the registry of the
// process or cluster.
func (r *Reconciler) Collectors() []prometheus.Collector {
	return []prometheus.Collector{r.metrics.syncs, r.metrics.nodeErrors, r.metrics.update}
}
