package volumebinding

import (
	"context"
	"math"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"

	helpers "k8s.io/component-helpers/storage/volume"
)

// use sums the requests of the claims of one class, and the capacity that they are of.
type use struct{ requested, capacity int64 }

// PreScore skips pods for which there is nothing to weigh.
func (*VolumeBinding) PreScore(_ context.Context, cs fwk.CycleState, _ *v1.Pod, _ []fwk.NodeInfo) *fwk.Status {
	if s := read(cs); s == nil || len(s.byNode) == 0 {
		return fwk.NewStatus(fwk.Skip)
	}
	return nil
}

// Score prefers nodes where claims take a small part of their volumes, or of
// the storage that is left: Kubernetes' default shape, 100 at no use and 0 at
// full.
func (*VolumeBinding) Score(_ context.Context, cs fwk.CycleState, _ *v1.Pod, info fwk.NodeInfo) (int64, *fwk.Status) {
	s := read(cs)
	if s == nil || s.byNode[info.Node().Name] == nil {
		return 0, nil
	}
	return score(s.byNode[info.Node().Name].uses()), nil
}

func (*VolumeBinding) ScoreExtensions() fwk.ScoreExtensions { return nil }

// uses returns the use of each class: of existing volumes, or else of the
// capacity left to make volumes of.
func (d *decision) uses() map[string]use {
	uses := map[string]use{}
	for _, m := range d.bind {
		u := uses[m.volume.Spec.StorageClassName]
		u.requested += m.claim.Spec.Resources.Requests.Storage().Value()
		u.capacity += m.volume.Spec.Capacity.Storage().Value()
		uses[m.volume.Spec.StorageClassName] = u
	}
	if len(d.bind) > 0 {
		return uses
	}
	for _, m := range d.make {
		if m.capacity == nil || m.capacity.Capacity == nil {
			continue
		}
		class := helpers.GetPersistentVolumeClaimClass(m.claim)
		u := uses[class]
		u.requested += m.claim.Spec.Resources.Requests.Storage().Value()
		u.capacity = m.capacity.Capacity.Value() // one pool for all of them
		uses[class] = u
	}
	return uses
}

func score(uses map[string]use) int64 {
	if len(uses) == 0 {
		return 0
	}
	var sum int64
	for _, u := range uses {
		if u.capacity > 0 && u.requested <= u.capacity {
			sum += fwk.MaxScore - u.requested*100/u.capacity
		}
	}
	return int64(math.Round(float64(sum) / float64(len(uses))))
}
