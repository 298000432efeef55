// Package scrape has metrics that are counted at each scrape, so that they cost
// nothing otherwise.
//
// The API of this package is not stable: see docs/api.md.
package scrape

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// patience bounds reads from a cache that has not synced.
const patience = 2 * time.Second

// Counts are numbers by the values of labels.
type Counts map[string]int

const between = "\xff" // is in no label

// Add counts one more under the labels.
func (c Counts) Add(n int, labels ...string) { c[strings.Join(labels, between)] += n }

// Gauge counts objects.
type Gauge struct {
	desc   *prometheus.Desc
	labels int
	count  func(context.Context, Counts) error
}

// NewGauge makes a metric. Values that count fails to read are left out.
func NewGauge(name, help string, labels []string, count func(context.Context, Counts) error) Gauge {
	return Gauge{desc: prometheus.NewDesc(name, help, labels, nil), labels: len(labels), count: count}
}

// Describe implements prometheus.Collector.
func (g Gauge) Describe(out chan<- *prometheus.Desc) { out <- g.desc }

// Collect implements prometheus.Collector.
func (g Gauge) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	counts := Counts{}
	if err := g.count(ctx, counts); err != nil {
		return
	}
	for labels, n := range counts {
		var values []string
		if g.labels > 0 {
			values = strings.Split(labels, between)
		}
		out <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, float64(n), values...)
	}
}

// List reads objects, which are shared with the cache. T is the list's type.
func List[T any, L interface {
	*T
	client.ObjectList
}](ctx context.Context, c client.Reader, opts ...client.ListOption) (*T, error) {
	list := L(new(T))
	err := c.List(ctx, list, append(opts, client.UnsafeDisableDeepCopy)...)
	return (*T)(list), err
}
