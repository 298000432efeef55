package scheduler

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/coracle-k8s/coracle/apis/histogram"
	"github.com/coracle-k8s/coracle/scheduler/queue"
)

// metrics has the names and labels of Kubernetes' scheduler.
// https://kubernetes.io/docs/reference/instrumentation/metrics/
type metrics struct {
	profile     string
	attempts    *prometheus.CounterVec
	attemptTime *prometheus.HistogramVec
	algorithm   prometheus.Histogram
	sli         *prometheus.HistogramVec
	podAttempts prometheus.Histogram
	incoming    *prometheus.CounterVec
	preemptions prometheus.Counter
	victims     prometheus.Histogram
}

func newMetrics(profile string) *metrics {
	latency := prometheus.ExponentialBuckets(0.001, 2, 15)
	return &metrics{
		profile: profile,
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "scheduler_schedule_attempts_total",
			Help: "Number of attempts to schedule pods, by the result. 'unschedulable' means a pod could not be scheduled, while 'error' means an internal scheduler problem."}, []string{"result", "profile"}),
		attemptTime: histogram.NewVec(prometheus.HistogramOpts{Name: "scheduler_scheduling_attempt_duration_seconds",
			Help: "Scheduling attempt latency in seconds (scheduling algorithm + binding)", Buckets: latency}, []string{"result", "profile"}),
		algorithm: histogram.New(prometheus.HistogramOpts{Name: "scheduler_scheduling_algorithm_duration_seconds",
			Help: "Scheduling algorithm latency in seconds", Buckets: latency}),
		sli: histogram.NewVec(prometheus.HistogramOpts{Name: "scheduler_pod_scheduling_sli_duration_seconds",
			Help: "E2e latency for a pod being scheduled, from the time the pod enters the scheduling queue and might involve multiple scheduling attempts.", Buckets: prometheus.ExponentialBuckets(0.01, 2, 20)}, []string{"attempts"}),
		podAttempts: histogram.New(prometheus.HistogramOpts{Name: "scheduler_pod_scheduling_attempts",
			Help: "Number of attempts to successfully schedule a pod.", Buckets: prometheus.ExponentialBuckets(1, 2, 5)}),
		incoming: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "scheduler_queue_incoming_pods_total",
			Help: "Number of pods added to scheduling queues by event and queue type."}, []string{"event", "queue"}),
		preemptions: prometheus.NewCounter(prometheus.CounterOpts{Name: "scheduler_preemption_attempts_total",
			Help: "Total preemption attempts in the cluster till now"}),
		victims: histogram.New(prometheus.HistogramOpts{Name: "scheduler_preemption_victims",
			Help: "Number of selected preemption victims", Buckets: prometheus.ExponentialBuckets(1, 2, 7)}),
	}
}

// register also exports gauges that are read from their owners when scraped.
func (m *metrics) register(r prometheus.Registerer, queues func() map[queue.Place]int, cached func() (int, int, int)) error {
	list := []prometheus.Collector{m.attempts, m.attemptTime, m.algorithm, m.sli, m.podAttempts, m.incoming, m.preemptions, m.victims}
	for _, place := range []queue.Place{queue.Active, queue.Backoff, queue.Unschedulable, queue.Gated} {
		list = append(list, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "scheduler_pending_pods",
			Help:        "Number of pending pods, by the queue type.",
			ConstLabels: prometheus.Labels{"queue": string(place)}}, func() float64 { return float64(queues()[place]) }))
	}
	size := func(kind string, pick func(nodes, pods, assumed int) int) {
		list = append(list, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "scheduler_cache_size",
			Help:        "Number of nodes, pods, and assumed (bound) pods in the scheduler cache.",
			ConstLabels: prometheus.Labels{"type": kind}}, func() float64 { return float64(pick(cached())) }))
	}
	size("nodes", func(n, _, _ int) int { return n })
	size("pods", func(_, p, _ int) int { return p })
	size("assumed_pods", func(_, _, a int) int { return a })
	for _, c := range list {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (m *metrics) attempt(result string, seconds float64) {
	m.attempts.WithLabelValues(result, m.profile).Inc()
	m.attemptTime.WithLabelValues(result, m.profile).Observe(seconds)
}

func (m *metrics) scheduled(p *queue.Pod, seconds float64, now time.Time) {
	m.attempt("scheduled", seconds)
	m.podAttempts.Observe(float64(p.Attempts))
	m.sli.WithLabelValues(attemptsLabel(p.Attempts)).Observe(now.Sub(p.FirstAttempt).Seconds())
}

// attemptsLabel keeps the number of series bounded.
func attemptsLabel(n int) string {
	if n >= 16 {
		return "16+"
	}
	return strconv.Itoa(n)
}

func (m *metrics) moved(to queue.Place, event string) {
	m.incoming.WithLabelValues(event, string(to)).Inc()
}

func (m *metrics) preempted(victims int) {
	m.preemptions.Inc()
	m.victims.Observe(float64(victims))
}
