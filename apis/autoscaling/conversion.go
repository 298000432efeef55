package autoscaling

import (
	"encoding/json"
	"fmt"
	"maps"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
)

// The annotations in which v1 carries what only v2 has fields for.
const (
	metricsAnnotation        = "autoscaling.alpha.kubernetes.io/metrics"
	currentMetricsAnnotation = "autoscaling.alpha.kubernetes.io/current-metrics"
	conditionsAnnotation     = "autoscaling.alpha.kubernetes.io/conditions"
	behaviorAnnotation       = "autoscaling.alpha.kubernetes.io/behavior"
	toleranceDownAnnotation  = "autoscaling.alpha.kubernetes.io/scale-down-tolerance"
	toleranceUpAnnotation    = "autoscaling.alpha.kubernetes.io/scale-up-tolerance"
)

// withoutCarried returns the annotations without those of the conversion, in
// a map of its own if extra may be added.
func withoutCarried(in map[string]string, extra map[string]string) map[string]string {
	carried := []string{metricsAnnotation, currentMetricsAnnotation, conditionsAnnotation, behaviorAnnotation, toleranceDownAnnotation, toleranceUpAnnotation}
	found := len(extra) > 0
	for _, key := range carried {
		if _, ok := in[key]; ok {
			found = true
		}
	}
	if !found {
		return in
	}
	out := make(map[string]string, len(in)+len(extra))
	maps.Copy(out, in)
	for _, key := range carried {
		delete(out, key)
	}
	maps.Copy(out, extra)
	return out
}

// isCPU reports whether v1 has fields for the metric.
func isCPU(m *autoscalingv2.MetricSpec) bool {
	return m.Type == autoscalingv2.ResourceMetricSourceType && m.Resource != nil && m.Resource.Name == corev1.ResourceCPU && m.Resource.Target.AverageUtilization != nil
}

// ToV1 makes out the autoscaling/v1 view of in. The two share what they point to.
func ToV1(in *autoscalingv2.HorizontalPodAutoscaler, out *autoscalingv1.HorizontalPodAutoscaler) error {
	*out = autoscalingv1.HorizontalPodAutoscaler{
		ObjectMeta: in.ObjectMeta,
		Spec: autoscalingv1.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv1.CrossVersionObjectReference(in.Spec.ScaleTargetRef),
			MinReplicas:    in.Spec.MinReplicas, MaxReplicas: in.Spec.MaxReplicas,
		},
		Status: autoscalingv1.HorizontalPodAutoscalerStatus{
			ObservedGeneration: in.Status.ObservedGeneration, LastScaleTime: in.Status.LastScaleTime,
			CurrentReplicas: in.Status.CurrentReplicas, DesiredReplicas: in.Status.DesiredReplicas,
		},
	}
	carried := map[string]string{}
	var others []autoscalingv1.MetricSpec
	for i := range in.Spec.Metrics {
		m := &in.Spec.Metrics[i]
		if !isCPU(m) {
			others = append(others, specToV1(m))
		} else if out.Spec.TargetCPUUtilizationPercentage == nil {
			out.Spec.TargetCPUUtilizationPercentage = ptr.To(*m.Resource.Target.AverageUtilization)
		}
	}
	var current []autoscalingv1.MetricStatus
	for i := range in.Status.CurrentMetrics {
		m := &in.Status.CurrentMetrics[i]
		current = append(current, statusToV1(m))
		if m.Type == autoscalingv2.ResourceMetricSourceType && m.Resource != nil && m.Resource.Name == corev1.ResourceCPU && m.Resource.Current.AverageUtilization != nil {
			out.Status.CurrentCPUUtilizationPercentage = ptr.To(*m.Resource.Current.AverageUtilization)
		}
	}
	var conditions []autoscalingv1.HorizontalPodAutoscalerCondition
	for _, c := range in.Status.Conditions {
		conditions = append(conditions, conditionToV1(c))
	}
	for _, c := range []struct {
		key     string
		present bool
		value   any
	}{
		{metricsAnnotation, len(others) > 0, others},
		{currentMetricsAnnotation, len(current) > 0, current},
		{behaviorAnnotation, in.Spec.Behavior != nil, behaviorOf(in.Spec.Behavior)},
		{conditionsAnnotation, len(conditions) > 0, conditions},
	} {
		if !c.present {
			continue
		}
		data, err := json.Marshal(c.value)
		if err != nil {
			return fmt.Errorf("encoding annotation %s: %w", c.key, err)
		}
		carried[c.key] = string(data)
	}
	out.Annotations = withoutCarried(in.Annotations, carried)
	return nil
}

// FromV1 reverses ToV1. An annotation that does not parse is dropped without a
// word, as upstream does.
func FromV1(in *autoscalingv1.HorizontalPodAutoscaler, out *autoscalingv2.HorizontalPodAutoscaler) error {
	*out = autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: in.ObjectMeta,
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference(in.Spec.ScaleTargetRef),
			MinReplicas:    in.Spec.MinReplicas, MaxReplicas: in.Spec.MaxReplicas,
		},
		Status: autoscalingv2.HorizontalPodAutoscalerStatus{
			ObservedGeneration: in.Status.ObservedGeneration, LastScaleTime: in.Status.LastScaleTime,
			CurrentReplicas: in.Status.CurrentReplicas, DesiredReplicas: in.Status.DesiredReplicas,
		},
	}
	out.Annotations = withoutCarried(in.Annotations, nil)
	var others []autoscalingv1.MetricSpec
	read(in.Annotations, metricsAnnotation, &others)
	for i := range others {
		out.Spec.Metrics = append(out.Spec.Metrics, specFromV1(&others[i]))
	}
	if n := in.Spec.TargetCPUUtilizationPercentage; n != nil {
		cpu := defaultMetrics()
		cpu[0].Resource.Target.AverageUtilization = ptr.To(*n)
		out.Spec.Metrics = append(out.Spec.Metrics, cpu...)
	}
	if len(out.Spec.Metrics) == 0 {
		out.Spec.Metrics = defaultMetrics()
	}
	var b behavior
	if read(in.Annotations, behaviorAnnotation, &b) && b != (behavior{}) {
		out.Spec.Behavior = b.to()
	}
	var current []autoscalingv1.MetricStatus
	if read(in.Annotations, currentMetricsAnnotation, &current) {
		for i := range current {
			out.Status.CurrentMetrics = append(out.Status.CurrentMetrics, statusFromV1(&current[i]))
		}
	} else if n := in.Status.CurrentCPUUtilizationPercentage; n != nil {
		out.Status.CurrentMetrics = []autoscalingv2.MetricStatus{{
			Type: autoscalingv2.ResourceMetricSourceType,
			Resource: &autoscalingv2.ResourceMetricStatus{Name: corev1.ResourceCPU,
				Current: autoscalingv2.MetricValueStatus{AverageUtilization: ptr.To(*n)}},
		}}
	}
	var conditions []autoscalingv1.HorizontalPodAutoscalerCondition
	read(in.Annotations, conditionsAnnotation, &conditions)
	for _, c := range conditions {
		out.Status.Conditions = append(out.Status.Conditions, conditionFromV1(c))
	}
	return nil
}

// read decodes an annotation and reports whether there was one that could be decoded.
func read[T any](annotations map[string]string, key string, into *T) bool {
	text, ok := annotations[key]
	if !ok {
		return false
	}
	var value T
	if json.Unmarshal([]byte(text), &value) != nil {
		return false
	}
	*into = value
	return true
}

func listToV1(in *autoscalingv2.HorizontalPodAutoscalerList, out *autoscalingv1.HorizontalPodAutoscalerList) error {
	*out = autoscalingv1.HorizontalPodAutoscalerList{ListMeta: in.ListMeta, Items: make([]autoscalingv1.HorizontalPodAutoscaler, len(in.Items))}
	return convertEach(in.Items, out.Items, ToV1)
}

func listFromV1(in *autoscalingv1.HorizontalPodAutoscalerList, out *autoscalingv2.HorizontalPodAutoscalerList) error {
	*out = autoscalingv2.HorizontalPodAutoscalerList{ListMeta: in.ListMeta, Items: make([]autoscalingv2.HorizontalPodAutoscaler, len(in.Items))}
	return convertEach(in.Items, out.Items, FromV1)
}

func convertEach[A, B any](in []A, out []B, convert func(*A, *B) error) error {
	for i := range in {
		if err := convert(&in[i], &out[i]); err != nil {
			return err
		}
	}
	return nil
}

func addConversions(s *runtime.Scheme) error {
	for _, add := range []func(*runtime.Scheme) error{converts(ToV1), converts(FromV1), converts(listToV1), converts(listFromV1)} {
		if err := add(s); err != nil {
			return err
		}
	}
	return nil
}

func converts[A, B any](convert func(*A, *B) error) func(*runtime.Scheme) error {
	return func(s *runtime.Scheme) error {
		return s.AddConversionFunc((*A)(nil), (*B)(nil), func(a, b any, _ conversion.Scope) error { return convert(a.(*A), b.(*B)) })
	}
}
