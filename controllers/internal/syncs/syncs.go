// Package syncs counts and times reconciles by the server's answer, as upstream
// does for what publishes authorities.
//
// The API of this package is not stable: see docs/api.md.
package syncs

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/coracle-k8s/coracle/apis/histogram"
)

// Counter is two metrics, sync_total and sync_duration_seconds.
type Counter struct {
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// New names the metrics' subsystem, and what each of them counts.
func New(subsystem, total, duration string) Counter {
	return Counter{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{Subsystem: subsystem, Name: "sync_total", Help: "[ALPHA] " + total}, []string{"code"}),
		duration: histogram.NewVec(prometheus.HistogramOpts{
			Subsystem: subsystem, Name: "sync_duration_seconds", Help: "[ALPHA] " + duration, Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}, []string{"code"}),
	}
}

// Collectors returns the metrics.
func (c Counter) Collectors() []prometheus.Collector {
	return []prometheus.Collector{c.total, c.duration}
}

// Synced counts by the code of the server's answer; 500 is any other failure.
func (c Counter) Synced(took time.Duration, err error) {
	code := http.StatusOK
	if err != nil {
		code = http.StatusInternalServerError
		if status := apierrors.APIStatus(nil); errors.As(err, &status) && status.Status().Code != 0 {
			code = int(status.Status().Code)
		}
	}
	c.total.WithLabelValues(strconv.Itoa(code)).Inc()
	c.duration.WithLabelValues(strconv.Itoa(code)).Observe(took.Seconds())
}
