package leader

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coracle-k8s/coracle/cluster/queue"
)

var _ prometheus.Collector = &states{}

// queueMetric returns a metric of client-go's work queues, under upstream's name.
func queueMetric(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("workqueue_"+name, "[BETA] "+help, []string{"name"}, nil)
}

// Describe implements prometheus.Collector: which queues there are is only
// known when they are asked.
func (s *states) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (s *states) Collect(out chan<- prometheus.Metric) {
	byQueue := map[string]queue.Numbers{}
	for _, c := range s.list() {
		if c.own {
			continue
		}
		name := s.queueName(c.Name)
		byQueue[name] = byQueue[name].Plus(c.Numbers)
	}
	depth := queueMetric("depth", "Current depth of workqueue")
	adds := queueMetric("adds_total", "Total number of adds handled by workqueue")
	queued := queueMetric("queue_duration_seconds", "How long in seconds an item stays in workqueue before being requested.")
	worked := queueMetric("work_duration_seconds", "How long in seconds processing an item from workqueue takes.")
	unfinished := queueMetric("unfinished_work_seconds", "How many seconds of work has done that is in progress and hasn't been observed by work_duration. Large values indicate stuck threads. One can deduce the number of stuck threads by observing the rate at which this increases.")
	longest := queueMetric("longest_running_processor_seconds", "How many seconds has the longest running processor for workqueue been running.")
	retries := queueMetric("retries_total", "Total number of retries handled by workqueue")
	gauge := func(d *prometheus.Desc, v float64, name string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, name)
	}
	counter := func(d *prometheus.Desc, v uint64, name string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), name)
	}
	histogram := func(d *prometheus.Desc, h queue.Histogram, name string) {
		out <- prometheus.MustNewConstHistogram(d, h.Count, h.Sum.Seconds(), h.Buckets(), name)
	}
	for name, n := range byQueue {
		gauge(depth, float64(n.Ready), name)
		counter(adds, n.Adds, name)
		histogram(queued, n.Queued, name)
		histogram(worked, n.Worked, name)
		gauge(unfinished, n.Unfinished.Seconds(), name)
		gauge(longest, n.Longest.Seconds(), name)
		counter(retries, n.Retries, name)
	}
}
