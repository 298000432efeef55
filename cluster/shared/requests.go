package shared

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coracle-k8s/coracle/apis/histogram"
)

// requests counts what the parts ask of the API server, under upstream's names.
type requests struct {
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newRequests(to prometheus.Registerer) *requests {
	r := &requests{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rest_client_requests_total",
			Help: "[ALPHA] Number of HTTP requests, partitioned by status code, method, and host.",
		}, []string{"code", "method", "host"}),
		duration: histogram.NewVec(prometheus.HistogramOpts{
			Name:    "rest_client_request_duration_seconds",
			Help:    "[ALPHA] Request latency in seconds. Broken down by verb, and host.",
			Buckets: []float64{0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60},
		}, []string{"verb", "host"}),
	}
	to.MustRegister(r.total, r.duration)
	return r
}

// wrap is a rest.Config's WrapTransport.
func (r *requests) wrap(next http.RoundTripper) http.RoundTripper { return counted{next, r} }

type counted struct {
	http.RoundTripper
	requests *requests
}

// RoundTrip implements http.RoundTripper.
func (c counted) RoundTrip(req *http.Request) (*http.Response, error) {
	began := time.Now()
	resp, err := c.RoundTripper.RoundTrip(req)
	code := "<error>"
	if err == nil {
		code = strconv.Itoa(resp.StatusCode)
	}
	c.requests.total.WithLabelValues(code, req.Method, req.URL.Host).Inc()
	c.requests.duration.WithLabelValues(req.Method, req.URL.Host).Observe(time.Since(began).Seconds())
	return resp, err
}

// WrappedRoundTripper implements net.RoundTripperWrapper.
func (c counted) WrappedRoundTripper() http.RoundTripper { return c.RoundTripper }
