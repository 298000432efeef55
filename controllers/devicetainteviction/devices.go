package devicetainteviction

import (
	"cmp"
	"slices"
	"sync"

	resourcev1 "k8s.io/api/resource/v1"
)

type poolID struct{ driver, pool string }

// devices holds the existing slices by pool. It is safe for concurrent use.
type devices struct {
	mu    sync.Mutex
	pools map[poolID]map[string]*resourcev1.ResourceSlice
}

func newDevices() *devices { return &devices{pools: map[poolID]map[string]*resourcev1.ResourceSlice{}} }

func idOf(s *resourcev1.ResourceSlice) poolID { return poolID{s.Spec.Driver, s.Spec.Pool.Name} }

// replace takes note of a slice that comes, changes or goes (one of them is
// nil), and returns the pool if other devices of it are tainted now, or
// otherwise.
func (d *devices) replace(old, new *resourcev1.ResourceSlice) (pool poolID, changed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	any := cmp.Or(new, old)
	pool = idOf(any)
	before := tainted(d.pools[pool])
	if old != nil {
		delete(d.pools[pool], old.Name)
	}
	if new != nil {
		if d.pools[pool] == nil {
			d.pools[pool] = map[string]*resourcev1.ResourceSlice{}
		}
		d.pools[pool][new.Name] = new
	}
	if len(d.pools[pool]) == 0 {
		delete(d.pools, pool)
	}
	return pool, !slices.EqualFunc(before, tainted(d.pools[pool]), func(a, b taintedDevice) bool {
		return a.device == b.device && a.taint.Key == b.taint.Key && a.taint.Value == b.taint.Value && a.taint.TimeAdded.Equal(b.taint.TimeAdded)
	})
}

type taintedDevice struct {
	device string
	taint  *resourcev1.DeviceTaint
}

// tainted returns the devices of a pool with a NoExecute taint, each with each.
func tainted(pool map[string]*resourcev1.ResourceSlice) []taintedDevice {
	var all []taintedDevice
	for _, s := range newest(pool) {
		for i := range s.Spec.Devices {
			for _, t := range noExecute(&s.Spec.Devices[i]) {
				all = append(all, taintedDevice{s.Spec.Devices[i].Name, t})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b taintedDevice) int {
		return cmp.Or(cmp.Compare(a.device, b.device), cmp.Compare(a.taint.Key, b.taint.Key), cmp.Compare(a.taint.Value, b.taint.Value))
	})
	return all
}

// newest returns the slices of a pool's newest generation.
func newest(pool map[string]*resourcev1.ResourceSlice) []*resourcev1.ResourceSlice {
	var found []*resourcev1.ResourceSlice
	for _, s := range pool {
		switch {
		case len(found) > 0 && s.Spec.Pool.Generation < found[0].Spec.Pool.Generation:
		case len(found) > 0 && s.Spec.Pool.Generation == found[0].Spec.Pool.Generation:
			found = append(found, s)
		default:
			found = []*resourcev1.ResourceSlice{s}
		}
	}
	return found
}

// taints returns the NoExecute taints of a device in slices.
func (d *devices) taints(pool poolID, device string) []*resourcev1.DeviceTaint {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range newest(d.pools[pool]) {
		for i := range s.Spec.Devices {
			if s.Spec.Devices[i].Name == device {
				return noExecute(&s.Spec.Devices[i])
			}
		}
	}
	return nil
}

// selected counts the devices that a rule means.
func (d *devices) selected(r *resourcev1.DeviceTaintRule) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for id, pool := range d.pools {
		for _, s := range newest(pool) {
			for i := range s.Spec.Devices {
				if means(r, id, s.Spec.Devices[i].Name) {
					n++
				}
			}
		}
	}
	return n
}

func noExecute(d *resourcev1.Device) []*resourcev1.DeviceTaint {
	var found []*resourcev1.DeviceTaint
	for i := range d.Taints {
		if d.Taints[i].Effect == resourcev1.DeviceTaintEffectNoExecute {
			found = append(found, &d.Taints[i])
		}
	}
	return found
}

// means reports whether a rule applies to a device. Without a selector it applies to none.
func means(r *resourcev1.DeviceTaintRule, pool poolID, device string) bool {
	s := r.Spec.DeviceSelector
	is := func(wanted *string, have string) bool { return wanted == nil || *wanted == have }
	return s != nil && is(s.Driver, pool.driver) && is(s.Pool, pool.pool) && is(s.Device, device)
}
