package statefulset

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/controllers/internal/scrape"
)

// Collectors returns the metrics, to be registered with a registry of the
// cluster. They have upstream's names.
func (r *Reconciler) Collectors() []prometheus.Collector {
	gauge := func(name, help string, value func(*appsv1.StatefulSet) int) prometheus.Collector {
		labels := []string{"statefulset_namespace", "statefulset_name", "pod_management_policy"}
		return scrape.NewGauge("statefulset_controller_"+name, "[ALPHA] "+help, labels, func(ctx context.Context, counts scrape.Counts) error {
			list, err := scrape.List[appsv1.StatefulSetList](ctx, r.client)
			for i := range list.Items {
				if s := &list.Items[i]; s.Spec.UpdateStrategy.Type != appsv1.OnDeleteStatefulSetStrategyType {
					counts.Add(value(s), s.Namespace, s.Name, string(s.Spec.PodManagementPolicy))
				}
			}
			return err
		})
	}
	return []prometheus.Collector{
		gauge("statefulset_max_unavailable", "Maximum number of unavailable pods allowed during StatefulSet rolling updates", budget),
		gauge("statefulset_unavailable_replicas", "Current number of unavailable pods in StatefulSet", func(s *appsv1.StatefulSet) int {
			return int(max(0, ptr.Deref(s.Spec.Replicas, 1)-s.Status.AvailableReplicas))
		}),
	}
}
