package nodeipam

import "github.com/prometheus/client_golang/prometheus"

// collector has upstream's names, cirdset too, and reads the ranges when it is asked.
type collector struct {
	r                                 *Ranges
	size, usage, allocations, release *prometheus.Desc
}

func newCollector(r *Ranges) collector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("node_ipam_controller_"+name, help, []string{"clusterCIDR"}, nil)
	}
	return collector{
		r:           r,
		size:        desc("cirdset_max_cidrs", "Maximum number of CIDRs that can be allocated."),
		usage:       desc("cidrset_usage_cidrs", "Gauge measuring percentage of allocated CIDRs."),
		allocations: desc("cidrset_cidrs_allocations_total", "Counter measuring total number of CIDR allocations."),
		release:     desc("cidrset_cidrs_releases_total", "Counter measuring total number of CIDR releases."),
	}
}

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.size, c.usage, c.allocations, c.release} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	for _, p := range c.r.ranges.pools {
		send := func(d *prometheus.Desc, t prometheus.ValueType, v float64) {
			out <- prometheus.MustNewConstMetric(d, t, v, p.Cluster.String())
		}
		send(c.size, prometheus.GaugeValue, float64(len(p.used)))
		send(c.usage, prometheus.GaugeValue, float64(p.taken)/float64(len(p.used)))
		send(c.allocations, prometheus.CounterValue, float64(p.allocations))
		send(c.release, prometheus.CounterValue, float64(p.releases))
	}
}

// Collectors returns the metrics, to be registered with the registry of the
// process or cluster.
func (r *Reconciler) Collectors() []prometheus.Collector {
	return []prometheus.Collector{newCollector(r.config.Ranges)}
}
