//go:build linux

package proxy

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coracle-k8s/coracle/apis/histogram"
)

// metrics have the names of upstream's kube-proxy.
type metrics struct {
	sync, full, partial prometheus.Histogram
	last, lastQueued    prometheus.Gauge
	failures            prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer, node string) (*metrics, error) {
	labels := prometheus.Labels{"node": node}
	histogram := func(name, help string) prometheus.Histogram {
		return histogram.New(prometheus.HistogramOpts{Namespace: "kubeproxy", Name: name, Help: help,
			ConstLabels: labels, Buckets: prometheus.ExponentialBuckets(0.001, 2, 15)})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "kubeproxy", Name: name, Help: help, ConstLabels: labels})
	}
	m := &metrics{
		sync:       histogram("sync_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds"),
		full:       histogram("sync_full_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds for full resyncs"),
		partial:    histogram("sync_partial_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds for partial resyncs"),
		last:       gauge("sync_proxy_rules_last_timestamp_seconds", "The last time proxy rules were successfully synced"),
		lastQueued: gauge("sync_proxy_rules_last_queued_timestamp_seconds", "The last time a sync of proxy rules was queued"),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "kubeproxy", Name: "sync_proxy_rules_nftables_sync_failures_total",
			Help: "Cumulative proxy nftables sync failures", ConstLabels: labels}),
	}
	if registerer == nil {
		return m, nil
	}
	var failed []error
	for _, c := range []prometheus.Collector{m.sync, m.full, m.partial, m.last, m.lastQueued, m.failures} {
		if err := registerer.Register(c); err != nil {
			failed = append(failed, fmt.Errorf("registering the proxy's metrics: %w", err))
		}
	}
	return m, errors.Join(failed...)
}

func (m *metrics) synced(now time.Time, took time.Duration, full bool) {
	m.sync.Observe(took.Seconds())
	if full {
		m.full.Observe(took.Seconds())
	} else {
		m.partial.Observe(took.Seconds())
	}
	m.last.Set(float64(now.UnixNano()) / 1e9)
}
