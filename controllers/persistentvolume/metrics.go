package persistentvolume

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	volumes "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/controllers/internal/scrape"
)

// Collectors returns the metrics, to be registered with a registry of the
// cluster. They have upstream's names.
func (r *Reconciler) Collectors() []prometheus.Collector {
	ofVolumes := func(name, help string, labels []string, count func(*corev1.PersistentVolume, scrape.Counts)) prometheus.Collector {
		return scrape.NewGauge("pv_collector_"+name, "[ALPHA] "+help, labels, func(ctx context.Context, counts scrape.Counts) error {
			list, err := scrape.List[corev1.PersistentVolumeList](ctx, r.client)
			for i := range list.Items {
				count(&list.Items[i], counts)
			}
			return err
		})
	}
	ofClaims := func(name, help string, bound bool) prometheus.Collector {
		return scrape.NewGauge("pv_collector_"+name, "[ALPHA] "+help, []string{"namespace", "storage_class", "volume_attributes_class"},
			func(ctx context.Context, counts scrape.Counts) error {
				list, err := scrape.List[corev1.PersistentVolumeClaimList](ctx, r.client)
				for i := range list.Items {
					if c := &list.Items[i]; (c.Status.Phase == corev1.ClaimBound) == bound {
						counts.Add(1, c.Namespace, volumes.GetPersistentVolumeClaimClass(c), ptr.Deref(c.Spec.VolumeAttributesClassName, ""))
					}
				}
				return err
			})
	}
	byClass := func(bound bool) func(*corev1.PersistentVolume, scrape.Counts) {
		return func(v *corev1.PersistentVolume, counts scrape.Counts) {
			if (v.Status.Phase == corev1.VolumeBound) == bound {
				counts.Add(1, v.Spec.StorageClassName)
			}
		}
	}
	return []prometheus.Collector{
		ofVolumes("total_pv_count", "Gauge measuring total number of persistent volumes", []string{"plugin_name", "volume_mode"},
			func(v *corev1.PersistentVolume, counts scrape.Counts) {
				counts.Add(1, plugin(v), string(ptr.Deref(v.Spec.VolumeMode, corev1.PersistentVolumeFilesystem)))
			}),
		ofVolumes("bound_pv_count", "Gauge measuring number of persistent volume currently bound", []string{"storage_class"}, byClass(true)),
		ofVolumes("unbound_pv_count", "Gauge measuring number of persistent volume currently unbound", []string{"storage_class"}, byClass(false)),
		ofClaims("bound_pvc_count", "Gauge measuring number of persistent volume claim currently bound", true),
		ofClaims("unbound_pvc_count", "Gauge measuring number of persistent volume claim currently unbound", false),
	}
}

// plugin returns upstream's name of the volume's kind.
func plugin(v *corev1.PersistentVolume) string {
	switch s := &v.Spec.PersistentVolumeSource; {
	case s.CSI != nil:
		return "kubernetes.io/csi:" + s.CSI.Driver
	case s.HostPath != nil:
		return "kubernetes.io/host-path"
	case s.Local != nil:
		return "kubernetes.io/local-volume"
	case s.NFS != nil:
		return "kubernetes.io/nfs"
	case s.ISCSI != nil:
		return "kubernetes.io/iscsi"
	case s.FC != nil:
		return "kubernetes.io/fc"
	}
	return "N/A"
}
