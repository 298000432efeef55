// Package nodevolumelimits keeps nodes from getting more volumes of a CSI driver
// than the driver can attach there.
// https://kubernetes.io/docs/concepts/storage/storage-limits/
//
// The API of this package is not stable: see docs/api.md.
package nodevolumelimits

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/storage/ephemeral"
	helpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/scheduler/volumes"
)

const (
	// Name is the plugin's name in Kubernetes.
	Name = "NodeVolumeLimits"
	// ErrReasonMaxVolumeCountExceeded is the message for a full node.
	ErrReasonMaxVolumeCountExceeded = "node(s) exceed max volume count"

	stateKey fwk.StateKey = "PreFilter" + Name
)

// NodeVolumeLimits is the plugin.
type NodeVolumeLimits struct{ store *volumes.Store }

var (
	_ fwk.PreFilterPlugin   = &NodeVolumeLimits{}
	_ fwk.FilterPlugin      = &NodeVolumeLimits{}
	_ fwk.EnqueueExtensions = &NodeVolumeLimits{}
)

// New returns the plugin.
func New(store *volumes.Store) *NodeVolumeLimits { return &NodeVolumeLimits{store: store} }

func (*NodeVolumeLimits) Name() string { return Name }

// id identifies a volume by its driver and the driver's handle. One that is not
// made yet has its claim for a handle, which no driver's handle is like.
type id struct{ driver, handle string }

type state map[id]struct{}

// Clone shares the volumes: nothing changes them.
func (s state) Clone() fwk.StateData { return s }

// PreFilter skips pods without volumes of drivers.
func (p *NodeVolumeLimits) PreFilter(_ context.Context, cs fwk.CycleState, pod *v1.Pod, _ []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status) {
	var s state
	for i := range pod.Spec.Volumes {
		name, forPod := volumes.ClaimName(pod, &pod.Spec.Volumes[i])
		if name == "" {
			continue
		}
		c, err := p.store.Claim(types.NamespacedName{Namespace: pod.Namespace, Name: name})
		if err != nil {
			return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, fmt.Sprintf("looking up PVC %s/%s: %v", pod.Namespace, name, err))
		}
		if forPod {
			if err := ephemeral.VolumeIsForPod(pod, c); err != nil {
				return nil, fwk.AsStatus(err)
			}
		}
		if v, ok := p.volume(c); ok {
			if s == nil {
				s = state{}
			}
			s[v] = struct{}{}
		}
	}
	if len(s) == 0 {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	cs.Write(stateKey, s)
	return nil, nil
}

// volume returns what a claim's driver attaches for it; false if its volume is
// no driver's.
func (p *NodeVolumeLimits) volume(c *v1.PersistentVolumeClaim) (id, bool) {
	if c.Spec.VolumeName != "" {
		if pv, err := p.store.Volume(c.Spec.VolumeName); err == nil {
			if pv.Spec.CSI == nil {
				return id{}, false
			}
			return id{pv.Spec.CSI.Driver, pv.Spec.CSI.VolumeHandle}, true
		}
	}
	// No volume yet: the class names the driver that will make it.
	class, err := p.store.Class(helpers.GetPersistentVolumeClaimClass(c))
	if err != nil {
		return id{}, false
	}
	return id{class.Provisioner, "claim " + c.Namespace + "/" + c.Name}, true
}

func (*NodeVolumeLimits) PreFilterExtensions() fwk.PreFilterExtensions { return nil }

// Filter refuses nodes that lack a driver whose CSIDriver asks for that, and
// nodes that are full.
func (p *NodeVolumeLimits) Filter(_ context.Context, cs fwk.CycleState, _ *v1.Pod, info fwk.NodeInfo) *fwk.Status {
	data, err := cs.Read(stateKey)
	if err != nil {
		return fwk.AsStatus(err)
	}
	wanted, csiNode := data.(state), p.store.CSINode(info.Node().Name)
	for v := range wanted {
		if driver := p.store.CSIDriver(v.driver); driver != nil && ptr.Deref(driver.Spec.PreventPodSchedulingIfMissing, false) && !installed(csiNode, v.driver) {
			return fwk.NewStatus(fwk.Unschedulable, fmt.Sprintf("%s CSI driver is not installed on the node", v.driver))
		}
	}
	limits := limits(csiNode)
	if len(limits) == 0 {
		return nil
	}
	there := p.there(info)
	used, asked := map[string]int{}, map[string]int{}
	for v := range there {
		used[v.driver]++
	}
	for v := range wanted {
		if _, ok := there[v]; !ok {
			asked[v.driver]++
		}
	}
	for driver, n := range asked {
		if most, ok := limits[driver]; ok && used[driver]+n > int(most) {
			return fwk.NewStatus(fwk.Unschedulable, ErrReasonMaxVolumeCountExceeded)
		}
	}
	return nil
}

// there returns the volumes of the node's pods and those that are attached still.
func (p *NodeVolumeLimits) there(info fwk.NodeInfo) map[id]struct{} {
	there := map[id]struct{}{}
	for _, pi := range info.GetPods() {
		pod := pi.GetPod()
		for i := range pod.Spec.Volumes {
			name, forPod := volumes.ClaimName(pod, &pod.Spec.Volumes[i])
			if name == "" {
				continue
			}
			c, err := p.store.Claim(types.NamespacedName{Namespace: pod.Namespace, Name: name})
			if err != nil || forPod && ephemeral.VolumeIsForPod(pod, c) != nil {
				continue // its volume cannot be determined
			}
			if v, ok := p.volume(c); ok {
				there[v] = struct{}{}
			}
		}
	}
	p.store.Attachments(info.Node().Name, func(a *storagev1.VolumeAttachment) {
		name := ptr.Deref(a.Spec.Source.PersistentVolumeName, "")
		if pv, err := p.store.Volume(name); err == nil && pv.Spec.CSI != nil {
			there[id{a.Spec.Attacher, pv.Spec.CSI.VolumeHandle}] = struct{}{}
		}
	})
	return there
}

func installed(node *storagev1.CSINode, driver string) bool {
	if node == nil {
		return false
	}
	for i := range node.Spec.Drivers {
		if node.Spec.Drivers[i].Name == driver {
			return true
		}
	}
	return false
}

// limits returns the limit of each driver; one that names none has none.
func limits(node *storagev1.CSINode) map[string]int32 {
	if node == nil {
		return nil
	}
	limits := map[string]int32{}
	for _, d := range node.Spec.Drivers {
		if d.Allocatable != nil && d.Allocatable.Count != nil {
			limits[d.Name] = *d.Allocatable.Count
		}
	}
	return limits
}

// EventsToRegister waits for drivers, for pods and attachments that go, and for
// the claim.
func (*NodeVolumeLimits) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{
		{Event: fwk.ClusterEvent{Resource: fwk.CSINode, ActionType: fwk.Add}},
		{Event: fwk.ClusterEvent{Resource: fwk.CSINode, ActionType: fwk.Update}, QueueingHintFn: grows},
		{Event: fwk.ClusterEvent{Resource: fwk.AssignedPod, ActionType: fwk.Delete}, QueueingHintFn: frees},
		{Event: fwk.ClusterEvent{Resource: fwk.PersistentVolumeClaim, ActionType: fwk.Add}, QueueingHintFn: appears},
		{Event: fwk.ClusterEvent{Resource: fwk.VolumeAttachment, ActionType: fwk.Delete}, QueueingHintFn: detached},
	}, nil
}

func queueIf(yes bool) (fwk.QueueingHint, error) {
	if yes {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}

// grows returns Queue if a driver came, or can attach more.
func grows(_ klog.Logger, _ *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	old, ok1 := oldObj.(*storagev1.CSINode)
	node, ok2 := newObj.(*storagev1.CSINode)
	if !ok1 || !ok2 {
		return fwk.Queue, nil
	}
	was, is := limits(old), limits(node)
	for _, d := range node.Spec.Drivers {
		if !installed(old, d.Name) || is[d.Name] > was[d.Name] {
			return fwk.Queue, nil
		}
	}
	return fwk.QueueSkip, nil
}

func frees(_ klog.Logger, _ *v1.Pod, oldObj, _ any) (fwk.QueueingHint, error) {
	gone, ok := oldObj.(*v1.Pod)
	return queueIf(!ok || claims(gone))
}

func detached(_ klog.Logger, pod *v1.Pod, _, _ any) (fwk.QueueingHint, error) {
	return queueIf(claims(pod))
}

func claims(pod *v1.Pod) bool {
	for i := range pod.Spec.Volumes {
		if name, _ := volumes.ClaimName(pod, &pod.Spec.Volumes[i]); name != "" {
			return true
		}
	}
	return false
}

func appears(_ klog.Logger, pod *v1.Pod, _, newObj any) (fwk.QueueingHint, error) {
	c, ok := newObj.(*v1.PersistentVolumeClaim)
	return queueIf(!ok || volumes.Uses(pod, c))
}
