// Package volumezone keeps pods in the zones that their volumes' labels name.
//
// The API of this package is not stable: see docs/api.md.
package volumezone

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	helpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/volumes"
)

const (
	// Name is the plugin's name in Kubernetes.
	Name = "VolumeZone"
	// ErrReasonConflict is the message for a refused node.
	ErrReasonConflict = "node(s) had no available volume zone"

	stateKey fwk.StateKey = "PreFilter" + Name

	// delimiter is between the zones of a volume that is in many.
	delimiter = "__"
)

// current are the labels of zones and regions, by each name that they had.
var current = map[string]string{
	v1.LabelFailureDomainBetaZone:   v1.LabelTopologyZone,
	v1.LabelFailureDomainBetaRegion: v1.LabelTopologyRegion,
	v1.LabelTopologyZone:            v1.LabelTopologyZone,
	v1.LabelTopologyRegion:          v1.LabelTopologyRegion,
}

// VolumeZone is the plugin.
type VolumeZone struct{ store *volumes.Store }

var (
	_ fwk.PreFilterPlugin   = &VolumeZone{}
	_ fwk.FilterPlugin      = &VolumeZone{}
	_ fwk.EnqueueExtensions = &VolumeZone{}
)

// New returns the plugin.
func New(store *volumes.Store) *VolumeZone { return &VolumeZone{store: store} }

func (*VolumeZone) Name() string { return Name }

// place is the location of a volume, by one label.
type place struct {
	label string
	zones []string
}

type state []place

// Clone shares the places: nothing changes them.
func (s state) Clone() fwk.StateData { return s }

// PreFilter skips pods whose volumes are in no zone.
func (p *VolumeZone) PreFilter(_ context.Context, cs fwk.CycleState, pod *v1.Pod, _ []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status) {
	var all state
	for i := range pod.Spec.Volumes {
		claim := pod.Spec.Volumes[i].PersistentVolumeClaim
		if claim == nil {
			continue
		}
		pv, st := p.volume(types.NamespacedName{Namespace: pod.Namespace, Name: claim.ClaimName})
		if !st.IsSuccess() {
			return nil, st
		}
		if pv != nil {
			all = append(all, places(pv)...)
		}
	}
	if len(all) == 0 {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	cs.Write(stateKey, all)
	return nil, nil
}

// volume returns a claim's volume, nil if it waits for the pod.
func (p *VolumeZone) volume(key types.NamespacedName) (*v1.PersistentVolume, *fwk.Status) {
	refuse := func(why string) (*v1.PersistentVolume, *fwk.Status) {
		return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, why)
	}
	fail := func(err error) (*v1.PersistentVolume, *fwk.Status) {
		if apierrors.IsNotFound(err) {
			return refuse(err.Error())
		}
		return nil, fwk.AsStatus(err)
	}
	if key.Name == "" {
		return refuse("PersistentVolumeClaim had no name")
	}
	c, err := p.store.Claim(key)
	if err != nil {
		return fail(err)
	}
	if c.Spec.VolumeName != "" {
		pv, err := p.store.Volume(c.Spec.VolumeName)
		if err != nil {
			return fail(err)
		}
		return pv, nil
	}
	name := helpers.GetPersistentVolumeClaimClass(c)
	if name == "" {
		return refuse("PersistentVolumeClaim had no pv name and storageClass name")
	}
	class, err := p.store.Class(name)
	switch {
	case err != nil:
		return fail(err)
	case class.VolumeBindingMode == nil:
		return refuse(fmt.Sprintf("VolumeBindingMode not set for StorageClass %q", name))
	case *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer:
		return nil, nil
	}
	return refuse("PersistentVolume had no name")
}

// places reads labels in a fixed order; one that names no zone counts as none.
func places(pv *v1.PersistentVolume) []place {
	var list []place
	for _, label := range slices.Sorted(maps.Keys(current)) {
		value, ok := pv.Labels[label]
		if !ok {
			continue
		}
		zones := strings.Split(value, delimiter)
		for i := range zones {
			zones[i] = strings.TrimSpace(zones[i])
		}
		if !slices.Contains(zones, "") {
			list = append(list, place{label, zones})
		}
	}
	return list
}

func (*VolumeZone) PreFilterExtensions() fwk.PreFilterExtensions { return nil }

// Filter refuses nodes of other zones. Nodes without any such label are in a
// cluster without zones.
func (*VolumeZone) Filter(_ context.Context, cs fwk.CycleState, _ *v1.Pod, info fwk.NodeInfo) *fwk.Status {
	data, err := cs.Read(stateKey)
	if err != nil {
		return fwk.AsStatus(err)
	}
	node, zoned := info.Node(), false
	for label := range current {
		_, ok := node.Labels[label]
		zoned = zoned || ok
	}
	if !zoned {
		return nil
	}
	for _, p := range data.(state) {
		value, ok := node.Labels[p.label]
		if !ok {
			value, ok = node.Labels[current[p.label]]
		}
		if !ok || !slices.Contains(p.zones, value) {
			return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ErrReasonConflict)
		}
	}
	return nil
}

// EventsToRegister waits for nodes and zones, for the claim and its volume.
func (*VolumeZone) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{
		{Event: fwk.ClusterEvent{Resource: fwk.StorageClass, ActionType: fwk.Add}, QueueingHintFn: classAdded},
		{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add | fwk.UpdateNodeLabel}},
		{Event: fwk.ClusterEvent{Resource: fwk.PersistentVolumeClaim, ActionType: fwk.Add | fwk.Update}, QueueingHintFn: claimChanged},
		{Event: fwk.ClusterEvent{Resource: fwk.PersistentVolume, ActionType: fwk.Add | fwk.Update}, QueueingHintFn: volumeChanged},
	}, nil
}

func queueIf(yes bool) (fwk.QueueingHint, error) {
	if yes {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}

func classAdded(_ klog.Logger, _ *v1.Pod, _, newObj any) (fwk.QueueingHint, error) {
	class, ok := newObj.(*storagev1.StorageClass)
	return queueIf(!ok || class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer)
}

func claimChanged(_ klog.Logger, pod *v1.Pod, _, newObj any) (fwk.QueueingHint, error) {
	c, ok := newObj.(*v1.PersistentVolumeClaim)
	return queueIf(!ok || volumes.Uses(pod, c))
}

func volumeChanged(_ klog.Logger, _ *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	old, ok1 := oldObj.(*v1.PersistentVolume)
	pv, ok2 := newObj.(*v1.PersistentVolume)
	return queueIf(!ok1 || !ok2 || !slices.EqualFunc(places(old), places(pv), func(a, b place) bool {
		return a.label == b.label && slices.Equal(a.zones, b.zones)
	}))
}
