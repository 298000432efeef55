package rootca

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// metrics have upstream's names.
type metrics struct {
	syncs    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics() metrics {
	const subsystem, help = "root_ca_cert_publisher", "[ALPHA] Number of namespace syncs happened in root ca cert publisher."
	return metrics{
		syncs: prometheus.NewCounterVec(prometheus.CounterOpts{Subsystem: subsystem, Name: "sync_total", Help: help}, []string{"code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Subsystem: subsystem, Name: "sync_duration_seconds", Help: help, Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}, []string{"code"}),
	}
}

// Collectors returns the metrics, to be registered with a registry of the cluster.
func (r *Reconciler) Collectors() []prometheus.Collector {
	return []prometheus.Collector{r.metrics.syncs, r.metrics.duration}
}

// synced counts by the code of the server's answer; 500 is any other failure.
func (m metrics) synced(took time.Duration, err error) {
	code := http.StatusOK
	if err != nil {
		code = http.StatusInternalServerError
		if status := apierrors.APIStatus(nil); errors.As(err, &status) && status.Status().Code != 0 {
			code = int(status.Status().Code)
		}
	}
	m.syncs.WithLabelValues(strconv.Itoa(code)).Inc()
	m.duration.WithLabelValues(strconv.Itoa(code)).Observe(took.Seconds())
}
