package controllers

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// horizon is a little more than the autoscaler's period.
const horizon = 17 * time.Second

// TestAutoscaler goes as far as it gets without anybody who serves metrics: the
// scale is kept within its bounds, and what is missing is said.
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

	edit(m, d, func(d *appsv1.Deployment) { d.Spec.Replicas = ptr.To[int32](5) })
	m.move(horizon)
	m.Eventually(replicas).Should(BeEquivalentTo(3))
}
