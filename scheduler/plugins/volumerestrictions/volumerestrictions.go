// Package volumerestrictions keeps pods from sharing what cannot be shared: a
// claim that is for one pod only (ReadWriteOncePod), and disks that one node may
// write to once.
//
// The API of this package is not stable: see docs/api.md.
package volumerestrictions

import (
	"context"
	"slices"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/volumes"
)

const (
	// Name is the plugin's name in Kubernetes.
	Name = "VolumeRestrictions"

	stateKey fwk.StateKey = "PreFilter" + Name
)

// The messages for refused nodes.
const (
	ErrReasonDiskConflict             = "node(s) had no available disk"
	ErrReasonReadWriteOncePodConflict = "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod"
)

// VolumeRestrictions is the plugin.
type VolumeRestrictions struct {
	store *volumes.Store
	pods  fwk.StorageInfoLister
}

var (
	_ fwk.PreFilterPlugin     = &VolumeRestrictions{}
	_ fwk.PreFilterExtensions = &VolumeRestrictions{}
	_ fwk.FilterPlugin        = &VolumeRestrictions{}
	_ fwk.EnqueueExtensions   = &VolumeRestrictions{}
)

// New returns the plugin; pods is the snapshot of the cycle.
func New(store *volumes.Store, pods fwk.StorageInfoLister) *VolumeRestrictions {
	return &VolumeRestrictions{store: store, pods: pods}
}

func (*VolumeRestrictions) Name() string { return Name }

// state is the claims that are for the pod only, and how many uses of them by
// other pods there are.
type state struct {
	namespace string
	claims    sets.Set[string]
	uses      int
}

// Clone shares the claims: nothing changes them.
func (s *state) Clone() fwk.StateData {
	c := *s
	return &c
}

// PreFilter skips pods that share nothing.
func (p *VolumeRestrictions) PreFilter(_ context.Context, cs fwk.CycleState, pod *v1.Pod, _ []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status) {
	s := &state{namespace: pod.Namespace}
	disks := false
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		disks = disks || disk(v)
		if v.PersistentVolumeClaim == nil {
			continue
		}
		key := types.NamespacedName{Namespace: pod.Namespace, Name: v.PersistentVolumeClaim.ClaimName}
		c, err := p.store.Claim(key)
		if apierrors.IsNotFound(err) {
			return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, err.Error())
		}
		if err != nil {
			return nil, fwk.AsStatus(err)
		}
		if !slices.Contains(c.Spec.AccessModes, v1.ReadWriteOncePod) || s.claims.Has(c.Name) {
			continue
		}
		if s.claims == nil {
			s.claims = sets.New[string]()
		}
		s.claims.Insert(c.Name)
		if p.pods.IsPVCUsedByPods(key.String()) {
			s.uses++
		}
	}
	if !disks && s.uses == 0 {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	cs.Write(stateKey, s)
	return nil, nil
}

func (p *VolumeRestrictions) PreFilterExtensions() fwk.PreFilterExtensions { return p }

// AddPod counts the uses of a pod more.
func (*VolumeRestrictions) AddPod(_ context.Context, cs fwk.CycleState, _ *v1.Pod, add fwk.PodInfo, _ fwk.NodeInfo) *fwk.Status {
	return count(cs, add.GetPod(), 1)
}

// RemovePod discounts the uses of a pod less.
func (*VolumeRestrictions) RemovePod(_ context.Context, cs fwk.CycleState, _ *v1.Pod, remove fwk.PodInfo, _ fwk.NodeInfo) *fwk.Status {
	return count(cs, remove.GetPod(), -1)
}

func count(cs fwk.CycleState, pod *v1.Pod, sign int) *fwk.Status {
	data, err := cs.Read(stateKey)
	if err != nil {
		return fwk.AsStatus(err)
	}
	s := data.(*state)
	if pod.Namespace != s.namespace {
		return nil
	}
	for i := range pod.Spec.Volumes {
		if c := pod.Spec.Volumes[i].PersistentVolumeClaim; c != nil && s.claims.Has(c.ClaimName) {
			s.uses += sign
		}
	}
	return nil
}

// Filter refuses nodes where a disk is in use, and all while a claim is.
func (*VolumeRestrictions) Filter(_ context.Context, cs fwk.CycleState, pod *v1.Pod, node fwk.NodeInfo) *fwk.Status {
	for _, other := range node.GetPods() {
		if conflict(pod, other.GetPod()) {
			return fwk.NewStatus(fwk.Unschedulable, ErrReasonDiskConflict)
		}
	}
	data, err := cs.Read(stateKey)
	if err != nil {
		return fwk.AsStatus(err)
	}
	if data.(*state).uses > 0 {
		return fwk.NewStatus(fwk.Unschedulable, ErrReasonReadWriteOncePodConflict)
	}
	return nil
}

// disk reports whether a volume is of a kind that two pods of a node may not share.
func disk(v *v1.Volume) bool {
	return v.GCEPersistentDisk != nil || v.AWSElasticBlockStore != nil || v.RBD != nil || v.ISCSI != nil
}

func conflict(pod, other *v1.Pod) bool {
	for i := range pod.Spec.Volumes {
		if !disk(&pod.Spec.Volumes[i]) {
			continue
		}
		for j := range other.Spec.Volumes {
			if same(&pod.Spec.Volumes[i], &other.Spec.Volumes[j]) {
				return true
			}
		}
	}
	return false
}

// same reports whether two volumes are one disk and conflict: at least one of
// them is not read-only.
func same(a, b *v1.Volume) bool {
	switch {
	case a.GCEPersistentDisk != nil && b.GCEPersistentDisk != nil:
		x, y := a.GCEPersistentDisk, b.GCEPersistentDisk
		return x.PDName == y.PDName && !(x.ReadOnly && y.ReadOnly)
	case a.AWSElasticBlockStore != nil && b.AWSElasticBlockStore != nil:
		return a.AWSElasticBlockStore.VolumeID == b.AWSElasticBlockStore.VolumeID
	case a.ISCSI != nil && b.ISCSI != nil:
		return a.ISCSI.IQN == b.ISCSI.IQN && !(a.ISCSI.ReadOnly && b.ISCSI.ReadOnly)
	case a.RBD != nil && b.RBD != nil:
		x, y := a.RBD, b.RBD
		return x.RBDPool == y.RBDPool && x.RBDImage == y.RBDImage && !(x.ReadOnly && y.ReadOnly) &&
			slices.ContainsFunc(x.CephMonitors, func(m string) bool { return slices.Contains(y.CephMonitors, m) })
	}
	return false
}

// EventsToRegister waits for pods that go, for nodes, and for the claim.
func (*VolumeRestrictions) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{
		{Event: fwk.ClusterEvent{Resource: fwk.AssignedPod, ActionType: fwk.Delete}, QueueingHintFn: frees},
		{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add}},
		{Event: fwk.ClusterEvent{Resource: fwk.PersistentVolumeClaim, ActionType: fwk.Add}, QueueingHintFn: appears},
	}, nil
}

func frees(_ klog.Logger, pod *v1.Pod, oldObj, _ any) (fwk.QueueingHint, error) {
	gone, ok := oldObj.(*v1.Pod)
	if !ok || gone.Namespace == pod.Namespace && (conflict(pod, gone) || share(pod, gone)) {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}

func share(pod, gone *v1.Pod) bool {
	for i := range pod.Spec.Volumes {
		c := pod.Spec.Volumes[i].PersistentVolumeClaim
		if c != nil && slices.ContainsFunc(gone.Spec.Volumes, func(v v1.Volume) bool {
			return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == c.ClaimName
		}) {
			return true
		}
	}
	return false
}

func appears(_ klog.Logger, pod *v1.Pod, _, newObj any) (fwk.QueueingHint, error) {
	c, ok := newObj.(*v1.PersistentVolumeClaim)
	if !ok || volumes.Uses(pod, c) {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}
