package autoscaling

import (
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

// defaultUtilization of CPU, in percent of what is requested, is the target
// where no metric is named.
const defaultUtilization = 80

func addDefaults(s *runtime.Scheme) {
	// Only minReplicas: the CPU target of v1 depends on its annotations, so
	// that the conversion fills it in.
	v1 := func(h *autoscalingv1.HorizontalPodAutoscaler) { orElse(&h.Spec.MinReplicas, 1) }
	s.AddTypeDefaultingFunc(&autoscalingv1.HorizontalPodAutoscaler{}, func(obj any) { v1(obj.(*autoscalingv1.HorizontalPodAutoscaler)) })
	s.AddTypeDefaultingFunc(&autoscalingv1.HorizontalPodAutoscalerList{}, func(obj any) { each(obj.(*autoscalingv1.HorizontalPodAutoscalerList).Items, v1) })
	s.AddTypeDefaultingFunc(&autoscalingv2.HorizontalPodAutoscaler{}, func(obj any) {
		SetDefaultsHorizontalPodAutoscaler(obj.(*autoscalingv2.HorizontalPodAutoscaler))
	})
	s.AddTypeDefaultingFunc(&autoscalingv2.HorizontalPodAutoscalerList{}, func(obj any) {
		each(obj.(*autoscalingv2.HorizontalPodAutoscalerList).Items, SetDefaultsHorizontalPodAutoscaler)
	})
}

func each[T any](items []T, f func(*T)) {
	for i := range items {
		f(&items[i])
	}
}

func orElse[T any](p **T, value T) {
	if *p == nil {
		*p = &value
	}
}

// SetDefaultsHorizontalPodAutoscaler fills what autoscaling/v2 documents as
// defaults.
func SetDefaultsHorizontalPodAutoscaler(h *autoscalingv2.HorizontalPodAutoscaler) {
	// The annotations of v1 are fields in v2: upstream's conversion drops them.
	h.Annotations = withoutCarried(h.Annotations, nil)
	orElse(&h.Spec.MinReplicas, 1)
	if len(h.Spec.Metrics) == 0 {
		h.Spec.Metrics = defaultMetrics()
	}
	if b := h.Spec.Behavior; b != nil {
		b.ScaleUp = SetDefaultsScaleUp(b.ScaleUp)
		b.ScaleDown = SetDefaultsScaleDown(b.ScaleDown)
	}
}

func defaultMetrics() []autoscalingv2.MetricSpec {
	return []autoscalingv2.MetricSpec{{
		Type: autoscalingv2.ResourceMetricSourceType,
		Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{
			Type: autoscalingv2.UtilizationMetricType, AverageUtilization: ptr.To(int32(defaultUtilization)),
		}},
	}}
}

// SetDefaultsScaleUp returns the rules with what they leave out: four pods or
// double the number every 15 seconds, whichever is more, at once.
func SetDefaultsScaleUp(rules *autoscalingv2.HPAScalingRules) *autoscalingv2.HPAScalingRules {
	rules = setDefaultsRules(rules,
		autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PodsScalingPolicy, Value: 4, PeriodSeconds: 15},
		autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15})
	orElse(&rules.StabilizationWindowSeconds, 0)
	return rules
}

// SetDefaultsScaleDown returns the rules with what they leave out: any number.
// The stabilization window stays unset; the controller has its own (5 minutes).
func SetDefaultsScaleDown(rules *autoscalingv2.HPAScalingRules) *autoscalingv2.HPAScalingRules {
	return setDefaultsRules(rules, autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15})
}

func setDefaultsRules(rules *autoscalingv2.HPAScalingRules, policies ...autoscalingv2.HPAScalingPolicy) *autoscalingv2.HPAScalingRules {
	out := autoscalingv2.HPAScalingRules{}
	if rules != nil {
		out = *rules
	}
	orElse(&out.SelectPolicy, autoscalingv2.MaxChangePolicySelect)
	if out.Policies == nil {
		out.Policies = policies
	}
	return &out
}
