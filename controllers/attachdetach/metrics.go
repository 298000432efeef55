package attachdetach

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers/internal/scrape"
)

// newForced has upstream's name, which repeats itself.
func newForced() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Subsystem: "attach_detach_controller", Name: "attachdetach_controller_forced_detaches",
		Help: "[ALPHA] Number of times the A/D Controller performed a forced detach",
	}, []string{"reason"})
}

// Collectors returns the metrics, to be registered with a registry of the
// cluster. They have upstream's names; the gauges are counted when they are read.
func (r *Reconciler) Collectors() []prometheus.Collector {
	return []prometheus.Collector{
		r.forced,
		scrape.NewGauge("storage_count_attachable_volumes_in_use", "[ALPHA] Measure number of volumes in use", []string{"node", "volume_plugin"}, r.countInUse),
		scrape.NewGauge("attachdetach_controller_total_volumes", "[ALPHA] Number of volumes in A/D Controller", []string{"plugin_name", "state"}, r.countTotal),
	}
}

func plugin(pv *corev1.PersistentVolume) string { return "kubernetes.io/csi:" + pv.Spec.CSI.Driver }

// pods calls f with each pod on a node that claims volumes.
func (r *Reconciler) pods(ctx context.Context, f func(*corev1.Pod)) error {
	list, err := scrape.List[corev1.PodList](ctx, r.client)
	for i := range list.Items {
		if pod := &list.Items[i]; pod.Spec.NodeName != "" && len(index.ByVolumeClaim(pod)) > 0 {
			f(pod)
		}
	}
	return err
}

func (r *Reconciler) countInUse(ctx context.Context, n scrape.Counts) error {
	return r.pods(ctx, func(pod *corev1.Pod) {
		volumes, _ := r.volumesOf(ctx, pod) // what cannot be read is not counted
		for _, pv := range volumes {
			n.Add(1, pod.Spec.NodeName, plugin(pv))
		}
	})
}

// countTotal counts attachments that pods want, and those that there are.
func (r *Reconciler) countTotal(ctx context.Context, n scrape.Counts) error {
	wanted := map[string]bool{}
	err := r.pods(ctx, func(pod *corev1.Pod) {
		if over(pod) {
			return
		}
		volumes, _ := r.volumesOf(ctx, pod)
		for _, pv := range volumes {
			if name := attachmentName(pv, pod.Spec.NodeName); !wanted[name] {
				wanted[name] = true
				n.Add(1, plugin(pv), "desired_state_of_world")
			}
		}
	})
	if err != nil {
		return err
	}
	var attachments storagev1.VolumeAttachmentList
	if err := r.client.List(ctx, &attachments, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	for i := range attachments.Items {
		a := &attachments.Items[i]
		pv, err := r.volume(ctx, ptr.Deref(a.Spec.Source.PersistentVolumeName, ""))
		if err != nil {
			return err
		}
		if a.Status.Attached && pv != nil && pv.Spec.CSI != nil && ours(a, pv) {
			n.Add(1, plugin(pv), "actual_state_of_world")
		}
	}
	return nil
}
