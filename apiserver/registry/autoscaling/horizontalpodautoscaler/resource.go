// Package horizontalpodautoscaler serves HorizontalPodAutoscalers of
// autoscaling/v2, the stored version, and autoscaling/v1.
//
// The API of this package is not stable: see docs/api.md.
package horizontalpodautoscaler

import (
	"fmt"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/autoscaling"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*autoscalingv2.HorizontalPodAutoscaler]{
		GVK:            autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"),
		OtherVersions:  []string{"v1"},
		Plural:         "horizontalpodautoscalers",
		ShortNames:     []string{"hpa"},
		Categories:     []string{"all"},
		New:            func() *autoscalingv2.HorizontalPodAutoscaler { return &autoscalingv2.HorizontalPodAutoscaler{} },
		NewList:        func() runtime.Object { return &autoscalingv2.HorizontalPodAutoscalerList{} },
		Validate:       registry.Pure(autoscaling.ValidateHorizontalPodAutoscaler),
		ValidateUpdate: registry.PureUpdate(autoscaling.ValidateHorizontalPodAutoscalerUpdate),
		Status: &registry.Status[*autoscalingv2.HorizontalPodAutoscaler]{
			Validate: registry.PureUpdate(autoscaling.ValidateHorizontalPodAutoscalerStatusUpdate),
		},
		Table: &registry.Table[*autoscalingv2.HorizontalPodAutoscaler]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Column("Reference"), registry.Column("Targets"), registry.Column("MinPods"),
				registry.Column("MaxPods"), registry.Column("Replicas"), registry.Column("Age"),
			},
			Cells: cells,
		},
	}.Resource()
}

func cells(h *autoscalingv2.HorizontalPodAutoscaler, now time.Time) []any {
	least := "<unset>"
	if h.Spec.MinReplicas != nil {
		least = fmt.Sprint(*h.Spec.MinReplicas)
	}
	return []any{h.Name, h.Spec.ScaleTargetRef.Kind + "/" + h.Spec.ScaleTargetRef.Name, metrics(h.Spec.Metrics, h.Status.CurrentMetrics),
		least, int64(h.Spec.MaxReplicas), int64(h.Status.CurrentReplicas), registry.Age(h.CreationTimestamp, now)}
}
