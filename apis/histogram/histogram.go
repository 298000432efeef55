// Package histogram makes Prometheus histograms as Kubernetes' components do: with
// the buckets of their options, and as native histograms besides.
//
// See https://kubernetes.io/docs/concepts/cluster-administration/system-metrics/.
//
// The API of this package is not stable: see docs/api.md.
package histogram

import "github.com/prometheus/client_golang/prometheus"

// The settings of k8s.io/component-base/metrics/internal/nativehistograms.go.
const (
	bucketFactor = 1.1 // each bucket is at most 10 % wider than the one before
	maxBuckets   = 160
)

// New returns a histogram that is not registered.
func New(o prometheus.HistogramOpts) prometheus.Histogram {
	return prometheus.NewHistogram(native(o))
}

// NewVec returns histograms by labels that are not registered.
func NewVec(o prometheus.HistogramOpts, labels []string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(native(o), labels)
}

func native(o prometheus.HistogramOpts) prometheus.HistogramOpts {
	o.NativeHistogramBucketFactor, o.NativeHistogramMaxBucketNumber = bucketFactor, maxBuckets
	return o
}
