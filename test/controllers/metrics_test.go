package controllers

import (
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/test/env"
)

// scraped returns the value of a series, 0 if there is none.
func scraped(t *testing.T, e *env.Env, series string) float64 {
	t.Helper()
	for line := range strings.Lines(metrics(t, e)) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	return 0
}

// TestMetrics holds what controllers count against what they did, in one of two
// clusters of this process, and that the other one has no part in it.
func TestMetrics(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(time.Minute)
	e := env.Start(t)
	other := env.Start(t, env.Beside())

	good, bad := work("good", 4, 2, "0"), work("bad", 1, 1, "1")
	good.Spec.TTLSecondsAfterFinished = ptr.To(int32(0))
	bad.Spec.BackoffLimit = ptr.To(int32(0))
	d := deploy("web", 3)
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}
	service.Spec.Selector, service.Spec.Ports = map[string]string{"app": "web"}, []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(80)}}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "waits"}}
	claim.Spec.AccessModes, claim.Spec.StorageClassName = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, ptr.To("none")
	claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	for _, o := range []client.Object{good, bad, d, service, claim} {
		g.Expect(e.Client.Create(t.Context(), o)).To(Succeed())
	}
	scaled(t, e, d, 1)

	for series, want := range map[string]float64{
		`job_controller_jobs_finished_total{completion_mode="NonIndexed",reason="CompletionsReached",result="succeeded"}`: 1,
		`job_controller_jobs_finished_total{completion_mode="NonIndexed",reason="BackoffLimitExceeded",result="failed"}`:  1,
		`job_controller_job_pods_finished_total{completion_mode="NonIndexed",result="succeeded"}`:                         4,
		`job_controller_job_pods_finished_total{completion_mode="NonIndexed",result="failed"}`:                            1,
		`job_controller_job_pods_creation_total{reason="new",status="succeeded"}`:                                         5,
		`job_controller_terminated_pods_tracking_finalizer_total{event="add"}`:                                            5,
		`job_controller_terminated_pods_tracking_finalizer_total{event="delete"}`:                                         5,
		`ttl_after_finished_controller_job_deletion_duration_seconds_count`:                                               1,
		`endpoint_slice_controller_endpoints_desired`:                                                                     1,
		`endpoint_slice_controller_num_endpoint_slices`:                                                                   1,
		`endpoint_slice_controller_changes{operation="create"}`:                                                           1,
		`pv_collector_unbound_pvc_count{namespace="default",storage_class="none",volume_attributes_class=""}`:             1,
		`root_ca_cert_publisher_sync_total{code="200"}`:                                                                   0,
	} {
		if want == 0 {
			g.Expect(scraped(t, e, series)).To(BeNumerically(">=", 4), series)
			continue
		}
		g.Eventually(func() float64 { return scraped(t, e, series) }).Should(Equal(want), series)
	}
	for _, series := range []string{`workqueue_adds_total{name="job"}`, `workqueue_work_duration_seconds_count{name="replicaset"}`,
		`job_controller_job_syncs_total{action="tracking",completion_mode="NonIndexed",result="success"}`,
		`rest_client_requests_total{code="201",host="coracle.in-process",method="POST"}`} {
		g.Expect(scraped(t, e, series)).To(BeNumerically(">", 0), series)
	}
	g.Expect(scraped(t, other, `workqueue_adds_total{name="job"}`)).To(BeZero())
	g.Expect(metrics(t, other)).NotTo(ContainSubstring("job_controller_jobs_finished_total{"))
}

// TestControllersAreShown: each has its queue, and one that fails has its error.
func TestControllersAreShown(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(time.Minute)
	e := env.Start(t, env.WithNodes(0))
	cron := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hourly"}}
	cron.Spec.Schedule = "0 * * * *"
	cron.Spec.JobTemplate.Spec = work("x", 1, 1, "0").Spec
	g.Expect(e.Client.Create(t.Context(), cron)).To(Succeed())
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "none"}}
	quota.Spec.Hard = corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}
	g.Expect(e.Client.Create(t.Context(), quota)).To(Succeed())
	g.Eventually(func() bool {
		var now corev1.ResourceQuota
		g.Expect(e.Client.Get(t.Context(), client.ObjectKeyFromObject(quota), &now)).To(Succeed())
		return len(now.Status.Hard) > 0
	}).Should(BeTrue())
	g.Expect(e.Client.Create(t.Context(), deploy("web", 1))).To(Succeed())
	g.Eventually(func(g Gomega) {
		shown := map[string]int{}
		for i, c := range e.Cluster.Controllers() {
			shown[c.Name] = i
		}
		g.Expect(len(shown)).To(BeNumerically(">", 40))
		all := e.Cluster.Controllers()
		g.Expect(all[shown["cronjob-controller"]].Delayed).To(Equal(1), "it waits for the hour")
		failed := all[shown["replicaset-controller"]].Error
		g.Expect(failed).NotTo(BeNil())
		g.Expect(failed.Object).To(HavePrefix("default/web-"))
		g.Expect(failed.Message).To(ContainSubstring("exceeded quota"))
		g.Expect(all[shown["replicaset-controller"]].Active).NotTo(BeZero())
	}).Should(Succeed())
}
