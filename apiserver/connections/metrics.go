package connections

import "github.com/prometheus/client_golang/prometheus"

var _ prometheus.Collector = &Pool{}

func openDesc() *prometheus.Desc {
	return prometheus.NewDesc("coracle_connections", "Open connections of the server, by whether a request on them was authenticated.", []string{"authenticated"}, nil)
}

func closedDesc() *prometheus.Desc {
	return prometheus.NewDesc("coracle_connections_closed_total", "Connections that the server closed to keep file descriptors, by the limit that asked for it: per_address, unauthenticated, idle, refused.", []string{"reason"}, nil)
}

// Describe implements prometheus.Collector.
func (p *Pool) Describe(out chan<- *prometheus.Desc) {
	out <- openDesc()
	out <- closedDesc()
}

// Collect implements prometheus.Collector.
func (p *Pool) Collect(out chan<- prometheus.Metric) {
	p.mu.Lock()
	defer p.mu.Unlock()
	gauge := func(n int, authenticated string) {
		out <- prometheus.MustNewConstMetric(openDesc(), prometheus.GaugeValue, float64(n), authenticated)
	}
	gauge(p.open-p.waiting, "true")
	gauge(p.waiting, "false")
	for _, r := range reasons {
		out <- prometheus.MustNewConstMetric(closedDesc(), prometheus.CounterValue, float64(p.closed[r]), string(r))
	}
}
