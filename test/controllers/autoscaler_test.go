package controllers

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// horizon is a little more than the autoscaler's period.
const horizon = 17 * time.Second

// TestAutoscaler goes as far as it gets without a metrics server: the scale is
// kept within its bounds, and a condition reports what is missing.
func TestAutoscaler(t *testing.T) {
	m := start(t, 1)
	d := deployment("web", func(*appsv1.DeploymentSpec) {})
	m.Expect(m.Client.Create(t.Context(), d)).To(Succeed())
	a := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
		MinReplicas:    ptr.To[int32](2), MaxReplicas: 3,
		Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
			Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: ptr.To[int32](50)},
		}}},
	}}
	m.Expect(m.Client.Create(t.Context(), a)).To(Succeed())
	replicas := func() int32 {
		m.Expect(m.get(d, "default", "web")).To(Succeed())
		return *d.Spec.Replicas
	}
	m.Eventually(replicas).Should(BeEquivalentTo(2), func() string {
		m.Expect(m.get(a, "default", "web")).To(Succeed())
		return fmt.Sprint(a.Status)
	})
	reason := func(kind autoscalingv2.HorizontalPodAutoscalerConditionType) string {
		m.Expect(m.get(a, "default", "web")).To(Succeed())
		for _, c := range a.Status.Conditions {
			if c.Type == kind {
				return c.Reason
			}
		}
		return ""
	}
	m.Eventually(func() string { return reason(autoscalingv2.AbleToScale) }).Should(Equal("SucceededRescale"))
	m.move(horizon)
	m.Eventually(func() string { return reason(autoscalingv2.ScalingActive) }).Should(Equal("FailedGetResourceMetric"))
	m.Eventually(m.events("web")).Should(ContainSubstring("FailedGetResourceMetric: failed to get cpu utilization: unable to get metrics for resource cpu: " +
		"unable to fetch metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)"))

	edit(m, d, func(d *appsv1.Deployment) { d.Spec.Replicas = ptr.To[int32](5) })
	m.move(horizon)
	m.Eventually(replicas).Should(BeEquivalentTo(3))
}

// TestAutoscalersFollowMetrics has one autoscaler for each kind of metric, on a
// workload of its own that is made for a load of 50 a pod, and takes the load
// from 100 to 200, to 0 and back to 100.
func TestAutoscalersFollowMetrics(t *testing.T) {
	m := start(t, 1)
	s := serveMetrics(m, 100)
	average := autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: resource.NewMilliQuantity(50, resource.DecimalSI)}
	hits := autoscalingv2.MetricIdentifier{Name: "hits"}
	kinds := map[string]autoscalingv2.MetricSpec{
		"resource": {Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU,
			Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: ptr.To[int32](50)}}},
		"container": {Type: autoscalingv2.ContainerResourceMetricSourceType, ContainerResource: &autoscalingv2.ContainerResourceMetricSource{Name: corev1.ResourceCPU, Container: "c", Target: average}},
		"pods":      {Type: autoscalingv2.PodsMetricSourceType, Pods: &autoscalingv2.PodsMetricSource{Metric: hits, Target: average}},
		"object": {Type: autoscalingv2.ObjectMetricSourceType, Object: &autoscalingv2.ObjectMetricSource{Metric: hits, Target: average,
			DescribedObject: autoscalingv2.CrossVersionObjectReference{APIVersion: "v1", Kind: "Service", Name: "object"}}},
		"external": {Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{Target: average,
			Metric: autoscalingv2.MetricIdentifier{Name: "mails", Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"queue": "mail"}}}}},
	}
	for name, metric := range kinds {
		d := deployment(name, func(d *appsv1.DeploymentSpec) {
			d.Replicas = ptr.To[int32](2)
			cpu := corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m")}}
			d.Template.Spec.Containers = []corev1.Container{{Name: "c", Image: "x", Resources: cpu}, {Name: "side", Image: "x", Resources: cpu}}
		})
		m.Expect(m.Client.Create(t.Context(), d)).To(Succeed())
		m.Eventually(func() int32 {
			m.Expect(m.get(d, "default", name)).To(Succeed())
			return d.Status.AvailableReplicas
		}).Should(BeEquivalentTo(2))
		a := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			MaxReplicas:    10, Metrics: []autoscalingv2.MetricSpec{metric},
		}}
		if name == "external" || name == "object" {
			a.Spec.MinReplicas = ptr.To[int32](0)
		}
		m.Expect(m.Client.Create(t.Context(), a)).To(Succeed())
	}
	// said returns the scale and the conditions of an autoscaler.
	said := func(name string) string {
		d, a := &appsv1.Deployment{}, &autoscalingv2.HorizontalPodAutoscaler{}
		m.Expect(m.get(d, "default", name)).To(Succeed())
		m.Expect(m.get(a, "default", name)).To(Succeed())
		out := fmt.Sprint(d.Status.AvailableReplicas, " of ", *d.Spec.Replicas)
		for _, c := range a.Status.Conditions {
			out += fmt.Sprintf(" %s=%s:%s", c.Type, c.Status, c.Reason)
		}
		return out
	}
	// soon lets period after period pass until said returns what it should.
	soon := func(name string, should types.GomegaMatcher) {
		t.Helper()
		m.Eventually(func() string {
			is := said(name)
			if ok, _ := should.Match(is); !ok {
				m.move(horizon)
			}
			return is
		}).Should(should, name)
	}
	each := func(want func(name string) string) {
		t.Helper()
		for name := range kinds {
			soon(name, Equal(want(name)))
		}
	}
	steady := func(n int) string {
		return fmt.Sprintf("%d of %d AbleToScale=True:ReadyForNewScale ScalingActive=True:ValidMetricFound ScalingLimited=False:DesiredWithinRange", n, n)
	}
	each(func(string) string { return steady(2) })

	s.set(200)
	each(func(string) string { return steady(4) + " ScaledToZero=False:NotScaledToZero" })
	for name, reason := range map[string]string{
		"resource": "cpu resource utilization (percentage of request) above target", "container": "cpu resource above target",
		"pods": "pods metric hits above target", "object": "external metric hits(nil) above target",
		"external": "external metric mails(&LabelSelector{MatchLabels:map[string]string{queue: mail,},MatchExpressions:[]LabelSelectorRequirement{},}) above target",
	} {
		m.Eventually(m.events(name)).Should(ContainSubstring("SuccessfulRescale: New size: 4; reason: "+reason), name)
	}

	s.set(0)
	soon("pods", ContainSubstring("4 of 4 AbleToScale=True:ScaleDownStabilized"))
	m.move(5 * time.Minute)
	each(func(name string) string {
		if kinds[name].External != nil || kinds[name].Object != nil {
			return steady(0) + " ScaledToZero=True:ScaledToZero"
		}
		return "1 of 1 AbleToScale=True:ReadyForNewScale ScalingActive=True:ValidMetricFound ScalingLimited=True:TooFewReplicas ScaledToZero=False:NotScaledToZero"
	})

	s.set(100)
	each(func(string) string { return steady(2) + " ScaledToZero=False:NotScaledToZero" })
}
