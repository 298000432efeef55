package devices

import (
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/dynamic-resource-allocation/structured"
)

// taken counts by how many claims a device is taken. More than one is one claim
// twice: as decided and as written.
type taken struct {
	devices    map[structured.DeviceID]int
	shares     map[structured.SharedDeviceID]int
	capacities structured.ConsumedCapacityCollection
}

func newTaken() *taken {
	return &taken{
		devices: map[structured.DeviceID]int{}, shares: map[structured.SharedDeviceID]int{},
		capacities: structured.NewConsumedCapacityCollection(),
	}
}

// count adds or subtracts what a claim has; nil has nothing. Access for
// administration takes nothing.
func (t *taken) count(c *resourcev1.ResourceClaim, by int) {
	if c == nil || c.Status.Allocation == nil {
		return
	}
	for i := range c.Status.Allocation.Devices.Results {
		r := &c.Status.Allocation.Devices.Results[i]
		if r.AdminAccess != nil && *r.AdminAccess {
			continue
		}
		id := structured.MakeDeviceID(r.Driver, r.Pool, r.Device)
		if r.ShareID == nil {
			add(t.devices, id, by)
			continue
		}
		add(t.shares, structured.MakeSharedDeviceID(id, r.ShareID), by)
		if r.ConsumedCapacity == nil {
			continue
		}
		consumed := structured.NewDeviceConsumedCapacity(id, r.ConsumedCapacity)
		if by > 0 {
			t.capacities.Insert(consumed)
		} else {
			t.capacities.Remove(consumed)
		}
	}
}

func add[K comparable](counts map[K]int, key K, by int) {
	counts[key] += by
	if counts[key] == 0 {
		delete(counts, key)
	}
}

func (t *taken) state() structured.AllocatedState {
	return structured.AllocatedState{
		AllocatedDevices: sets.KeySet(t.devices), AllocatedSharedDeviceIDs: sets.KeySet(t.shares),
		AggregatedCapacity: t.capacities.Clone(),
	}
}
