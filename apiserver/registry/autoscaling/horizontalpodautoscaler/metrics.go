package horizontalpodautoscaler

import (
	"fmt"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

const unknown = "<unknown>"

// metrics returns the cell "cpu: 20%/80%": what is and what should be, for the
// first two metrics.
func metrics(specs []autoscalingv2.MetricSpec, statuses []autoscalingv2.MetricStatus) string {
	if len(specs) == 0 {
		return registry.None
	}
	const shown = 2
	var list []string
	for i := range specs {
		var status autoscalingv2.MetricStatus
		if i < len(statuses) {
			status = statuses[i]
		}
		list = append(list, metric(&specs[i], &status))
	}
	if n := len(list); n > shown {
		return fmt.Sprintf("%s + %d more...", strings.Join(list[:shown], ", "), n-shown)
	}
	return strings.Join(list, ", ")
}

func metric(spec *autoscalingv2.MetricSpec, status *autoscalingv2.MetricStatus) string {
	var current autoscalingv2.MetricValueStatus
	switch {
	case spec.Type == autoscalingv2.ExternalMetricSourceType && spec.External != nil:
		if status.External != nil {
			current = status.External.Current
		}
		return value(spec.External.Target, current)
	case spec.Type == autoscalingv2.ObjectMetricSourceType && spec.Object != nil:
		if status.Object != nil {
			current = status.Object.Current
		}
		return value(spec.Object.Target, current)
	case spec.Type == autoscalingv2.PodsMetricSourceType && spec.Pods != nil:
		if status.Pods != nil {
			current = status.Pods.Current
		}
		return amount(current.AverageValue) + "/" + amount(spec.Pods.Target.AverageValue)
	case spec.Type == autoscalingv2.ResourceMetricSourceType && spec.Resource != nil:
		if status.Resource != nil {
			current = status.Resource.Current
		}
		return spec.Resource.Name.String() + ": " + share(spec.Resource.Target, current)
	case spec.Type == autoscalingv2.ContainerResourceMetricSourceType && spec.ContainerResource != nil:
		if status.ContainerResource != nil {
			current = status.ContainerResource.Current
		}
		return spec.ContainerResource.Name.String() + ": " + share(spec.ContainerResource.Target, current)
	}
	return "<unknown type>"
}

func amount(q *resource.Quantity) string {
	if q == nil {
		return unknown
	}
	return q.String()
}

func value(target autoscalingv2.MetricTarget, current autoscalingv2.MetricValueStatus) string {
	if target.AverageValue != nil {
		return fmt.Sprintf("%s/%s (avg)", amount(current.AverageValue), amount(target.AverageValue))
	}
	return amount(current.Value) + "/" + amount(target.Value)
}

func share(target autoscalingv2.MetricTarget, current autoscalingv2.MetricValueStatus) string {
	if target.AverageValue != nil {
		return amount(current.AverageValue) + "/" + amount(target.AverageValue)
	}
	is, should := unknown, "<auto>"
	if current.AverageUtilization != nil {
		is = fmt.Sprintf("%d%%", *current.AverageUtilization)
	}
	if target.AverageUtilization != nil {
		should = fmt.Sprintf("%d%%", *target.AverageUtilization)
	}
	return is + "/" + should
}
