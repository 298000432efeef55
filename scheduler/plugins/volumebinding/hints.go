package volumebinding

import (
	"context"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/scheduler/volumes"
)

// EventsToRegister waits for claims, for volumes and the objects from which
// they are made, and for nodes.
func (*VolumeBinding) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	on := func(r fwk.EventResource, a fwk.ActionType, f fwk.QueueingHintFn) fwk.ClusterEventWithHint {
		return fwk.ClusterEventWithHint{Event: fwk.ClusterEvent{Resource: r, ActionType: a}, QueueingHintFn: f}
	}
	return []fwk.ClusterEventWithHint{
		on(fwk.StorageClass, fwk.Add|fwk.Update, classChanged),
		on(fwk.PersistentVolumeClaim, fwk.Add|fwk.Update, claimChanged),
		on(fwk.PersistentVolume, fwk.Add|fwk.Update, nil),
		on(fwk.Node, fwk.Add|fwk.UpdateNodeLabel, nil),
		on(fwk.CSIDriver, fwk.Update, driverChanged),
		on(fwk.CSIStorageCapacity, fwk.Add|fwk.Update, capacityChanged),
	}, nil
}

func queueIf(yes bool) (fwk.QueueingHint, error) {
	if yes {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}

func claimChanged(_ klog.Logger, pod *v1.Pod, _, newObj any) (fwk.QueueingHint, error) {
	c, ok := newObj.(*v1.PersistentVolumeClaim)
	return queueIf(!ok || volumes.Uses(pod, c))
}

// classChanged returns Queue if a class's topologies changed: nothing else that
// may change in a class matters.
func classChanged(_ klog.Logger, _ *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	old, ok1 := oldObj.(*storagev1.StorageClass)
	class, ok2 := newObj.(*storagev1.StorageClass)
	return queueIf(!ok1 || !ok2 || !equality.Semantic.DeepEqual(old.AllowedTopologies, class.AllowedTopologies))
}

// driverChanged returns Queue for a driver that no longer reports its capacity,
// since that refuses nothing.
func driverChanged(_ klog.Logger, _ *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	old, ok1 := oldObj.(*storagev1.CSIDriver)
	driver, ok2 := newObj.(*storagev1.CSIDriver)
	return queueIf(!ok1 || !ok2 || ptr.Deref(old.Spec.StorageCapacity, false) && !ptr.Deref(driver.Spec.StorageCapacity, false))
}

func capacityChanged(_ klog.Logger, _ *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	old, ok1 := oldObj.(*storagev1.CSIStorageCapacity)
	c, ok2 := newObj.(*storagev1.CSIStorageCapacity)
	if !ok1 || !ok2 {
		return fwk.Queue, nil
	}
	was, is := limit(old), limit(c)
	return queueIf(is != nil && (was == nil || is.Cmp(*was) > 0))
}
