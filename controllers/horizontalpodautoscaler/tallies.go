package horizontalpodautoscaler

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/coracle-k8s/coracle/apis/histogram"
	"github.com/coracle-k8s/coracle/controllers/internal/scrape"
)

const subsystem = "horizontal_pod_autoscaler_controller"

// tallies have upstream's names; metrics are something else here.
type tallies struct {
	reconciliations, computations   *prometheus.CounterVec
	reconciliationTime, computeTime *prometheus.HistogramVec
}

func newTallies() tallies {
	const labelled = " The label 'action' should be either 'scale_down', 'scale_up', or 'none'. Also, the label 'error' should be either 'spec', 'internal', or 'none'."
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Subsystem: subsystem, Name: name, Help: "[BETA] " + help + labelled}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return histogram.NewVec(prometheus.HistogramOpts{
			Subsystem: subsystem, Name: name, Help: "[BETA] " + help + labelled, Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}, labels)
	}
	return tallies{
		reconciliations:    counter("reconciliations_total", "Number of reconciliations of HPA controller.", "action", "error"),
		reconciliationTime: histogram("reconciliation_duration_seconds", "The time(seconds) that the HPA controller takes to reconcile once.", "action", "error"),
		computations:       counter("metric_computation_total", "Number of metric computations.", "action", "error", "metric_type"),
		computeTime:        histogram("metric_computation_duration_seconds", "The time(seconds) that the HPA controller takes to calculate one metric.", "action", "error", "metric_type"),
	}
}

// Collectors returns the metrics, to be registered with a registry of the cluster.
func (r *Reconciler) Collectors() []prometheus.Collector {
	each := func(name, help string, labels []string, note func(*autoscalingv2.HorizontalPodAutoscaler, scrape.Counts)) prometheus.Collector {
		return scrape.NewGauge(subsystem+"_"+name, "[ALPHA] "+help, labels, func(ctx context.Context, n scrape.Counts) error {
			list, err := scrape.List[autoscalingv2.HorizontalPodAutoscalerList](ctx, r.client)
			for i := range list.Items {
				note(&list.Items[i], n)
			}
			return err
		})
	}
	return []prometheus.Collector{
		r.tallies.reconciliations, r.tallies.reconciliationTime, r.tallies.computations, r.tallies.computeTime,
		each("num_horizontal_pod_autoscalers", "Current number of controlled HPA objects.", nil,
			func(_ *autoscalingv2.HorizontalPodAutoscaler, n scrape.Counts) { n.Add(1) }),
		each("desired_replicas", "Current desired replica count for HPA objects.", []string{"namespace", "hpa_name"},
			func(a *autoscalingv2.HorizontalPodAutoscaler, n scrape.Counts) {
				n.Add(int(a.Status.DesiredReplicas), a.Namespace, a.Name)
			}),
	}
}

// specError is due to the autoscaler's specification.
type specError struct{ error }

// Unwrap returns what is wrong.
func (e specError) Unwrap() error { return e.error }

func kindOf(err error) string {
	var spec specError
	switch {
	case err == nil:
		return "none"
	case errors.As(err, &spec):
		return "spec"
	}
	return "internal"
}

func direction(from, to int32) string {
	switch {
	case to > from:
		return "scale_up"
	case to < from:
		return "scale_down"
	}
	return "none"
}

// computed counts a metric that was asked for replicas.
func (c tallies) computed(m Computation, took time.Duration) {
	c.computations.WithLabelValues(m.Action, m.Error, string(m.Type)).Inc()
	c.computeTime.WithLabelValues(m.Action, m.Error, string(m.Type)).Observe(took.Seconds())
}

// reconciled counts a look at an autoscaler; failure is what the plan or the
// writing of it failed with.
func (c tallies) reconciled(action string, failure error, took time.Duration) {
	c.reconciliations.WithLabelValues(action, kindOf(failure)).Inc()
	c.reconciliationTime.WithLabelValues(action, kindOf(failure)).Observe(took.Seconds())
}
