package devices

import (
	"fmt"
	"math/rand"
	"testing"

	. "github.com/onsi/gomega"
	v1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/dynamic-resource-allocation/structured"
	"k8s.io/utils/ptr"
)

// version makes resource versions.
type version int

func (v *version) next() string { *v++; return fmt.Sprint(int(*v)) }

func with(name, rv string, devices ...string) *resourcev1.ResourceClaim {
	c := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name), ResourceVersion: rv}}
	if len(devices) > 0 {
		c.Status.Allocation = &resourcev1.AllocationResult{}
		for _, d := range devices {
			c.Status.Allocation.Devices.Results = append(c.Status.Allocation.Devices.Results,
				resourcev1.DeviceRequestAllocationResult{Driver: "d", Pool: "p", Device: d})
		}
	}
	return c
}

// Whatever order decisions, writes and their echoes come in: a device is taken
// exactly as long as the newest of some claim has it or was decided to.
func TestTakenAgainstOracle(t *testing.T) {
	for seed := range int64(30) {
		rnd := rand.New(rand.NewSource(seed))
		s, rv := New(), version(0)
		// stored is the API's state, told its events that are still on their way.
		stored, told := map[string]*resourcev1.ResourceClaim{}, []any{}
		decided := map[string]*resourcev1.ResourceClaim{}
		written := map[string]bool{} // by this scheduler, so that the store has it before its event
		seen := map[string]*resourcev1.ResourceClaim{}
		for step := range 400 {
			name := fmt.Sprint("c", rnd.Intn(5))
			switch c := stored[name]; rnd.Intn(6) {
			case 0: // made or changed by others
				if c == nil && decided[name] == nil {
					stored[name] = with(name, rv.next())
					told = append(told, stored[name])
				}
			case 1: // decided
				if known := seen[name]; known != nil && known.Status.Allocation == nil && decided[name] == nil && c != nil && c.Status.Allocation == nil {
					decided[name] = with(name, known.ResourceVersion, fmt.Sprint("d", step))
					if err := s.Decide(decided[name]); err != nil {
						t.Fatal(err)
					}
					if s.Decide(decided[name]) == nil {
						t.Fatal("decided twice")
					}
				}
			case 2: // written
				if d := decided[name]; d != nil && c != nil {
					stored[name] = with(name, rv.next(), d.Status.Allocation.Devices.Results[0].Device)
					told = append(told, stored[name])
					s.Written(d.UID, stored[name])
					seen[name], written[name] = stored[name], true
					delete(decided, name)
				}
			case 3: // given up
				if d := decided[name]; d != nil {
					s.Revoke(d.UID)
					delete(decided, name)
				}
			case 4: // deallocated by others
				if c != nil && c.Status.Allocation != nil {
					stored[name] = with(name, rv.next())
					told = append(told, stored[name])
				}
			default:
				if len(told) > 0 {
					o := told[0].(*resourcev1.ResourceClaim)
					told = told[1:]
					s.Set(o)
					if known := seen[o.Name]; known == nil || !older(o, known) {
						seen[o.Name] = o
					}
				}
			}
			want := sets.New[structured.DeviceID]()
			for _, all := range []map[string]*resourcev1.ResourceClaim{seen, decided} {
				for _, c := range all {
					if c.Status.Allocation != nil {
						want.Insert(structured.MakeDeviceID("d", "p", c.Status.Allocation.Devices.Results[0].Device))
					}
				}
			}
			if got := s.Taken().AllocatedDevices; !got.Equal(want) {
				t.Fatalf("seed %d step %d: taken %v, want %v", seed, step, got, want)
			}
		}
	}
}

func TestTaintsOfRules(t *testing.T) {
	g := NewWithT(t)
	s := New()
	slice := &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: resourcev1.ResourceSliceSpec{
		Driver: "d", Pool: resourcev1.ResourcePool{Name: "p"}, Devices: []resourcev1.Device{{Name: "one"}, {Name: "two"}}}}
	rule := func(name string, selector *resourcev1.DeviceTaintSelector) *resourcev1.DeviceTaintRule {
		return &resourcev1.DeviceTaintRule{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: resourcev1.DeviceTaintRuleSpec{
			DeviceSelector: selector, Taint: resourcev1.DeviceTaint{Key: name, Effect: resourcev1.DeviceTaintEffectNoSchedule}}}
	}
	keys := func() (out []string) {
		for _, d := range s.Slices()[0].Spec.Devices {
			for _, t := range d.Taints {
				out = append(out, d.Name+":"+t.Key)
			}
		}
		return out
	}
	s.Set(slice)
	g.Expect(keys()).To(BeEmpty())
	s.Set(rule("nothing", nil))
	s.Set(rule("other", &resourcev1.DeviceTaintSelector{Driver: ptr.To("x")}))
	s.Set(rule("two", &resourcev1.DeviceTaintSelector{Pool: ptr.To("p"), Device: ptr.To("two")}))
	s.Set(rule("all", &resourcev1.DeviceTaintSelector{}))
	g.Expect(keys()).To(ConsistOf("one:all", "two:two", "two:all"))
	g.Expect(slice.Spec.Devices[0].Taints).To(BeEmpty(), "the shared object was changed")
	s.Remove(rule("all", nil))
	g.Expect(keys()).To(ConsistOf("two:two"))
}

func TestClassesOfExtendedResources(t *testing.T) {
	g := NewWithT(t)
	s := New()
	g.Expect(s.AnyClass()).To(BeFalse())
	class := &resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: "gpu"}, Spec: resourcev1.DeviceClassSpec{ExtendedResourceName: ptr.To("example.com/gpu")}}
	s.Set(class)
	for name, known := range map[v1.ResourceName]bool{
		"example.com/gpu": true, v1.ResourceName(resourcev1.ResourceDeviceClassPrefix + "gpu"): true, "example.com/other": false, "cpu": false,
	} {
		g.Expect(s.ClassOf(name) != nil).To(Equal(known), string(name))
	}
	s.Remove(class)
	g.Expect(s.ClassOf("example.com/gpu")).To(BeNil())
}
