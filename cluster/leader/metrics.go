package cluster

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coracle-k8s/coracle/cluster/queue"
)

var _ prometheus.Collector = &states{}

// queueMetric returns a metric of client-go's work queues, under upstream's name.
func queueMetric(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("workqueue_"+name, "[BETA] "+help, []string{"name"}, nil)
}

// Describe implements prometheus.Collector: which queues there are is only
// known when they are asked.
func (s *states) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (s *states) Collect(out chan<- prometheus.Metric) {
	byQueue := map[string]queue.Numbers{}
	for _, c := range s.list() {
		if c.own {
			continue
		}
		name := queueName(c.Name)
		byQueue[name] = byQueue[name].Plus(c.Numbers)
	}
	depth := queueMetric("depth", "Current depth of workqueue")
	adds := queueMetric("adds_total", "Total number of adds handled by workqueue")
	queued := queueMetric("queue_duration_seconds", "How long in seconds an item stays in workqueue before being requested.")
	worked := queueMetric("work_duration_seconds", "How long in seconds processing an item from workqueue takes.")
	unfinished := queueMetric("unfinished_work_seconds", "How many seconds of work has done that is in progress and hasn't been observed by work_duration. Large values indicate stuck threads. One can deduce the number of stuck threads by observing the rate at which this increases.")
	longest := queueMetric("longest_running_processor_seconds", "How many seconds has the longest running processor for workqueue been running.")
	retries := queueMetric("retries_total", "Total number of retries handled by workqueue")
	gauge := func(d *prometheus.Desc, v float64, name string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, name)
	}
	counter := func(d *prometheus.Desc, v uint64, name string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), name)
	}
	histogram := func(d *prometheus.Desc, h queue.Histogram, name string) {
		out <- prometheus.MustNewConstHistogram(d, h.Count, h.Sum.Seconds(), h.Buckets(), name)
	}
	for name, n := range byQueue {
		gauge(depth, float64(n.Ready), name)
		counter(adds, n.Adds, name)
		histogram(queued, n.Queued, name)
		histogram(worked, n.Worked, name)
		gauge(unfinished, n.Unfinished.Seconds(), name)
		gauge(longest, n.Longest.Seconds(), name)
		counter(retries, n.Retries, name)
	}
}

// queueName returns upstream's name of a controller's queue in metrics. Where
// several controllers here do the work of one there, they count together.
func queueName(controller string) string {
	switch controller {
	case "bootstrap-signer-controller":
		return "bootstrap_signer_queue"
	case "certificatesigningrequest-approving-controller", "certificatesigningrequest-signing-controller":
		return "certificate"
	case "clusterrole-aggregation-controller":
		return "ClusterRoleAggregator"
	case "cronjob-controller":
		return "cronjob"
	case "daemonset-controller":
		return "daemonset"
	case "deployment-controller":
		return "deployment"
	case "disruption-controller":
		return "disruption"
	case "disruption-controller-stale-pods":
		return "stale_pod_disruption"
	case "endpoints-controller":
		return "endpoint"
	case "endpointslice-controller":
		return "endpoint_slice"
	case "endpointslice-mirroring-controller":
		return "endpoint_slice_mirroring"
	case "ephemeral-volume-controller":
		return "ephemeral_volume"
	case "garbage-collector-controller":
		return "garbage_collector_attempt_to_delete"
	case "horizontal-pod-autoscaler-controller":
		return "horizontalpodautoscaler"
	case "job-controller":
		return "job"
	case "job-orphan-pods":
		return "job_orphan_pod"
	case "kube-apiserver-serving-clustertrustbundle-publisher-controller":
		return "ca_cert_publisher_cluster_trust_bundles"
	}
	return volumeOrOtherQueueName(controller)
}

func volumeOrOtherQueueName(controller string) string {
	switch controller {
	case "serviceaccount-token-controller":
		return "serviceaccount_tokens_service"
	case "namespace-controller":
		return "namespace"
	case "node-lifecycle-controller":
		return "node_lifecycle_controller"
	case "persistentvolume-binder-controller":
		return "claims"
	case "persistentvolume-expander-controller":
		return "volume_expand"
	case "persistentvolume-protection-controller":
		return "pvprotection"
	case "persistentvolumeclaim-protection-controller":
		return "pvcprotection"
	case "replicaset-controller":
		return "replicaset"
	case "replicationcontroller-controller":
		return "replicationmanager"
	case "resourceclaim-controller":
		return "resource_claim"
	case "resourcequota-controller":
		return "resourcequota_primary"
	case "root-ca-certificate-publisher-controller":
		return "root_ca_cert_publisher"
	case "service-cidr-controller":
		return "ipaddresses"
	case "serviceaccount-controller":
		return "serviceaccount"
	case "statefulset-controller":
		return "statefulset"
	case "taint-eviction-controller":
		return "noexec_taint_pod"
	case "token-cleaner-controller":
		return "token_cleaner"
	case "ttl-after-finished-controller":
		return "ttl_jobs_to_delete"
	case "ttl-controller":
		return "ttlcontroller"
	case "volumeattributesclass-protection-controller":
		return "vacprotection"
	}
	return controller
}
