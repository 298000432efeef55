package scheduler

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	toolscache "k8s.io/client-go/tools/cache"
	fwk "k8s.io/kube-scheduler/framework"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/coracle-k8s/coracle/scheduler/queue"
)

// watch follows the API's objects and returns once all that exist were seen.
// unwatch, which is never nil, ends it; the informers go on for others.
func (s *Scheduler) watch(ctx context.Context) (unwatch func(), err error) {
	var undo []func()
	unwatch = func() {
		for _, u := range undo {
			u()
		}
	}
	handlers := s.handlers(ctx)
	var synced []toolscache.DoneChecker
	for _, h := range handlers {
		// All kinds are listed at the same time, and nothing polls for their end.
		informer, err := s.cfg.Cache.GetInformer(ctx, h.object, ctrlcache.BlockUntilSynced(false))
		if err != nil {
			return unwatch, fmt.Errorf("watching %T: %w", h.object, err)
		}
		registration, err := informer.AddEventHandler(h.handler)
		if err != nil {
			return unwatch, fmt.Errorf("watching %T: %w", h.object, err)
		}
		undo = append(undo, func() { remove(ctx, informer, registration) })
		synced = append(synced, registration.HasSyncedChecker())
	}
	if !toolscache.WaitFor(ctx, "", synced...) {
		return unwatch, fmt.Errorf("waiting for informers: %w", context.Cause(ctx))
	}
	return unwatch, nil
}

func remove(ctx context.Context, informer ctrlcache.Informer, r toolscache.ResourceEventHandlerRegistration) {
	if err := informer.RemoveEventHandler(r); err != nil {
		log.FromContext(ctx).Error(err, "Ending a watch failed")
	}
}

type handler struct {
	object  client.Object
	handler toolscache.ResourceEventHandler
}

// handlers returns the handlers in the order in which they are to be filled:
// objects that pods depend on before pods.
func (s *Scheduler) handlers(ctx context.Context) []handler {
	others := toolscache.ResourceEventHandlerFuncs{
		AddFunc:    s.objects.set,
		UpdateFunc: func(_, obj any) { s.objects.set(obj) },
		DeleteFunc: func(obj any) { s.objects.remove(lastKnown(obj)) },
	}
	list := []handler{{&v1.Namespace{}, others}, {&v1.Service{}, others}}
	for _, w := range s.cfg.Workloads {
		list = append(list, handler{w, others})
	}
	list = append(list, s.followed(ctx, s.volumes, storageKinds())...)
	list = append(list, s.followed(ctx, s.devices, deviceKinds())...)
	return append(list, handler{&v1.Node{}, s.nodeHandler(ctx)}, handler{&v1.Pod{}, s.podHandler(ctx)})
}

// kind is one whose objects a store keeps, and what waiting pods call its events.
type kind struct {
	object   client.Object
	resource fwk.EventResource
}

// storageKinds returns the kinds that pods' volumes depend on.
func storageKinds() []kind {
	return []kind{
		{&storagev1.StorageClass{}, fwk.StorageClass},
		{&storagev1.CSIDriver{}, fwk.CSIDriver},
		{&storagev1.CSINode{}, fwk.CSINode},
		{&storagev1.CSIStorageCapacity{}, fwk.CSIStorageCapacity},
		{&storagev1.VolumeAttachment{}, fwk.VolumeAttachment},
		{&v1.PersistentVolume{}, fwk.PersistentVolume},
		{&v1.PersistentVolumeClaim{}, fwk.PersistentVolumeClaim},
	}
}

// deviceKinds returns the kinds that pods' resource claims depend on. A taint
// rule changes slices.
func deviceKinds() []kind {
	return []kind{
		{&resourcev1.DeviceClass{}, fwk.DeviceClass},
		{&resourcev1.DeviceTaintRule{}, fwk.ResourceSlice},
		{&resourcev1.ResourceSlice{}, fwk.ResourceSlice},
		{&resourcev1.ResourceClaim{}, fwk.ResourceClaim},
	}
}

// store keeps the objects of some kinds from events.
type store interface {
	Set(obj any)
	Remove(obj any)
}

// followed keeps a store, and reports its changes to the queue for pods that wait.
func (s *Scheduler) followed(ctx context.Context, to store, kinds []kind) []handler {
	var list []handler
	for _, kind := range kinds {
		happened := func(action fwk.ActionType, old, obj any) {
			s.queue.Happened(ctx, fwk.ClusterEvent{Resource: kind.resource, ActionType: action}, old, obj)
		}
		list = append(list, handler{kind.object, toolscache.ResourceEventHandlerFuncs{
			AddFunc: func(obj any) {
				to.Set(obj)
				happened(fwk.Add, nil, obj)
			},
			UpdateFunc: func(old, obj any) {
				to.Set(obj)
				happened(fwk.Update, old, obj)
			},
			DeleteFunc: func(obj any) {
				obj = lastKnown(obj)
				to.Remove(obj)
				happened(fwk.Delete, obj, nil)
			},
		}})
	}
	return list
}

func lastKnown(obj any) any {
	if d, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
		return d.Obj
	}
	return obj
}

func (s *Scheduler) nodeHandler(ctx context.Context) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) {
			node := obj.(*v1.Node)
			s.cache.SetNode(node)
			s.queue.Happened(ctx, fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add}, nil, node)
		},
		UpdateFunc: func(o, n any) {
			old, node := o.(*v1.Node), n.(*v1.Node)
			s.cache.SetNode(node)
			for _, event := range queue.NodeChanges(old, node) {
				s.queue.Happened(ctx, event, old, node)
			}
		},
		DeleteFunc: func(obj any) {
			if node, ok := lastKnown(obj).(*v1.Node); ok {
				s.cache.RemoveNode(node.Name)
				s.queue.Happened(ctx, fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Delete}, node, nil)
			}
		},
	}
}

// role is a pod's role in scheduling.
type role int

const (
	ignored  role = iota // ended, or another scheduler's to place
	pending              // this scheduler's to place
	assigned             // takes room on a node
)

func (s *Scheduler) role(pod *v1.Pod) role {
	switch {
	case pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed:
		return ignored
	case pod.Spec.NodeName != "":
		return assigned
	case s.responsible(pod):
		return pending
	default:
		return ignored
	}
}

func (s *Scheduler) podHandler(ctx context.Context) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) {
			pod := obj.(*v1.Pod)
			s.podChanged(ctx, pod, ignored, nil, s.role(pod))
		},
		UpdateFunc: func(o, n any) {
			old, pod := o.(*v1.Pod), n.(*v1.Pod)
			if old.UID != pod.UID { // replaced between two lists
				s.podChanged(ctx, old, s.role(old), old, ignored)
				s.podChanged(ctx, pod, ignored, nil, s.role(pod))
				return
			}
			s.podChanged(ctx, pod, s.role(old), old, s.role(pod))
		},
		DeleteFunc: func(obj any) {
			if pod, ok := lastKnown(obj).(*v1.Pod); ok {
				s.podChanged(ctx, pod, s.role(pod), pod, ignored)
			}
		},
	}
}

// podChanged takes the pod from what it was to what it is.
func (s *Scheduler) podChanged(ctx context.Context, pod *v1.Pod, was role, old *v1.Pod, is role) {
	if was == pending && is != pending {
		s.queue.Delete(pod)
		s.diagnoses.gone(pod)
		if is == ignored {
			s.waiting.gone(pod.UID)
		}
	}
	switch {
	case is == pending && was == pending:
		s.queue.Update(ctx, old, pod)
		s.notify(ctx, fwk.UnscheduledPod, old, pod)
	case is == pending:
		s.diagnoses.known(pod)
		s.queue.Add(ctx, pod)
		s.gated(pod)
	case is == assigned:
		if err := s.cache.SetPod(pod); err != nil {
			log.FromContext(ctx).Error(err, "A pod's affinity is not honoured")
		}
		if was == assigned {
			s.notify(ctx, fwk.AssignedPod, old, pod)
			return
		}
		s.queue.Happened(ctx, fwk.ClusterEvent{Resource: fwk.AssignedPod, ActionType: fwk.Add}, nil, pod)
	case was == assigned:
		s.cache.RemovePod(pod.UID)
		s.queue.Happened(ctx, fwk.ClusterEvent{Resource: fwk.AssignedPod, ActionType: fwk.Delete}, old, nil)
	case was == pending:
		// An assumed pod that is deleted before it was bound frees what it took.
		if s.cache.IsAssumed(pod.UID) {
			s.cache.RemovePod(pod.UID)
			s.queue.Happened(ctx, fwk.ClusterEvent{Resource: fwk.AssignedPod, ActionType: fwk.Delete}, old, nil)
		}
	}
}

// notify reports changes of a pod to pods that wait for them.
func (s *Scheduler) notify(ctx context.Context, resource fwk.EventResource, old, pod *v1.Pod) {
	for _, event := range queue.PodChanges(old, pod) {
		event.Resource = resource
		s.queue.Happened(ctx, event, old, pod)
	}
}

// gated writes the condition of a pod with scheduling gates, unless the API
// server did so already.
func (s *Scheduler) gated(pod *v1.Pod) {
	if len(pod.Spec.SchedulingGates) == 0 {
		return
	}
	if c := findCondition(pod); c != nil && c.Reason == v1.PodReasonSchedulingGated {
		return
	}
	s.status.update(pod, unscheduled(pod, v1.PodReasonSchedulingGated,
		"Scheduling is blocked due to non-empty scheduling gates", s.cfg.Clock.Now()), pod.Status.NominatedNodeName)
}
