package replicas

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apis/histogram"
)

// newAgeRatio returns upstream's metric of how old the pods are that scaling
// down takes, next to the youngest ready one.
func newAgeRatio() prometheus.Histogram {
	return histogram.New(prometheus.HistogramOpts{
		Subsystem: "replicaset_controller", Name: "sorting_deletion_age_ratio",
		Help:    "[ALPHA] The ratio of chosen deleted pod's ages to the current youngest pod's age (at the time). Should be <2. The intent of this metric is to measure the rough efficacy of the sorting (and deletion) of pods when a replicaset scales down. This only considers Ready pods when calculating and reporting.",
		Buckets: prometheus.ExponentialBuckets(0.25, 2, 6),
	})
}

// Collectors returns the metrics of the ReplicaSet controller, to be registered
// with a registry of the cluster; others have none.
func (r *Reconciler) Collectors() []prometheus.Collector {
	if !r.kind.SpreadOverSiblings {
		return nil
	}
	return []prometheus.Collector{r.ageRatio}
}

// ageRatios returns the ratios of the ready ones among the victims, where some
// are spared.
func ageRatios(pods, victims []*corev1.Pod, now time.Time) []float64 {
	if len(victims) >= len(pods) {
		return nil
	}
	var youngest time.Time
	for _, p := range pods {
		if p.CreationTimestamp.After(youngest) && podapi.IsReady(p) {
			youngest = p.CreationTimestamp.Time
		}
	}
	age := now.Sub(youngest).Milliseconds()
	if youngest.IsZero() || age <= 0 {
		return nil
	}
	var ratios []float64
	for _, p := range victims {
		if podapi.IsReady(p) {
			ratios = append(ratios, float64(now.Sub(p.CreationTimestamp.Time).Milliseconds()/age))
		}
	}
	return ratios
}
