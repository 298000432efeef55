package apiserver

import (
	"testing"

	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
)

func TestMergedGathersEachSeriesOnce(t *testing.T) {
	g := NewWithT(t)
	registry := func(depth map[string]float64, more ...prometheus.Collector) *prometheus.Registry {
		r := prometheus.NewRegistry()
		vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "workqueue_depth", Help: "h"}, []string{"name"})
		for name, v := range depth {
			vec.WithLabelValues(name).Set(v)
		}
		r.MustRegister(append(more, vec)...)
		return r
	}
	other := prometheus.NewCounter(prometheus.CounterOpts{Name: "other", Help: "h"})
	same := prometheus.NewGauge(prometheus.GaugeOpts{Name: "other", Help: "another type"})
	families, err := merged{registry(map[string]float64{"a": 1, "b": 2}, other), registry(map[string]float64{"b": 3, "c": 4}, same)}.Gather()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(families).To(HaveLen(2))
	g.Expect(families[0].GetName()).To(Equal("other"))
	g.Expect(families[0].Metric).To(HaveLen(1))
	got := map[string]float64{}
	for _, m := range families[1].Metric {
		got[m.Label[0].GetValue()] = m.Gauge.GetValue()
	}
	g.Expect(got).To(Equal(map[string]float64{"a": 1, "b": 2, "c": 4}))
}
