package resource

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	resourcev1 "k8s.io/api/resource/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/randfill"
)

func scheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	if err := Install(s); err != nil {
		t.Fatal(err)
	}
	return s
}

func expect(t *testing.T, name string, errs field.ErrorList, want string) {
	t.Helper()
	if want == "" && len(errs) > 0 || want != "" && (len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), want)) {
		t.Errorf("%s: got %v, want %q", name, errs, want)
	}
}

func claim(change func(*resourcev1.DeviceClaim)) *resourcev1.ResourceClaim {
	c := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Name: "c", Namespace: "ns"}}
	c.Spec.Devices.Requests = []resourcev1.DeviceRequest{{Name: "r", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "gpu"}}}
	change(&c.Spec.Devices)
	setClaim(&c.Spec)
	return c
}

func selector(text string) []resourcev1.DeviceSelector {
	return []resourcev1.DeviceSelector{{CEL: &resourcev1.CELDeviceSelector{Expression: text}}}
}

func TestClaims(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*resourcev1.DeviceClaim)
		want   string
	}{
		"valid":    {func(*resourcev1.DeviceClaim) {}, ""},
		"no class": {func(d *resourcev1.DeviceClaim) { d.Requests[0].Exactly.DeviceClassName = "" }, "spec.devices.requests[0].exactly.deviceClassName: Required value"},
		"neither":  {func(d *resourcev1.DeviceClaim) { d.Requests[0].Exactly = nil }, "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required"},
		"count":    {func(d *resourcev1.DeviceClaim) { d.Requests[0].Exactly.Count = -1 }, "spec.devices.requests[0].exactly.count: Invalid value: -1: must be greater than zero"},
		"all": {func(d *resourcev1.DeviceClaim) {
			d.Requests[0].Exactly.AllocationMode, d.Requests[0].Exactly.Count = "All", 2
		}, "spec.devices.requests[0].exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'"},
		"selector": {func(d *resourcev1.DeviceClaim) {
			d.Requests[0].Exactly.Selectors = selector(`device.attributes["a.example.com"].x == 1`)
		}, ""},
		"not bool": {func(d *resourcev1.DeviceClaim) { d.Requests[0].Exactly.Selectors = selector(`"x"`) }, "spec.devices.requests[0].exactly.selectors[0].cel.expression: Invalid value"},
		"syntax":   {func(d *resourcev1.DeviceClaim) { d.Requests[0].Exactly.Selectors = selector(`((`) }, "spec.devices.requests[0].exactly.selectors[0].cel.expression: Invalid value"},
		"twice":    {func(d *resourcev1.DeviceClaim) { d.Requests = append(d.Requests, d.Requests[0]) }, `spec.devices.requests[1]: Duplicate value: {"name":"r","exactly":{"deviceClassName":"gpu","allocationMode":"ExactCount","count":1}}`},
		"constraint": {func(d *resourcev1.DeviceClaim) {
			d.Constraints = []resourcev1.DeviceConstraint{{Requests: []string{"r"}, MatchAttribute: ptr.To[resourcev1.FullyQualifiedName]("a.com/b")}}
		}, ""},
		"unknown request": {func(d *resourcev1.DeviceClaim) {
			d.Constraints = []resourcev1.DeviceConstraint{{Requests: []string{"q"}, MatchAttribute: ptr.To[resourcev1.FullyQualifiedName]("a.com/b")}}
		}, "spec.devices.constraints[0].requests[0]: Invalid value: \"q\": must be the name of a request"},
		"unqualified": {func(d *resourcev1.DeviceClaim) {
			d.Constraints = []resourcev1.DeviceConstraint{{MatchAttribute: ptr.To[resourcev1.FullyQualifiedName]("b")}}
		},
			"spec.devices.constraints[0].matchAttribute: Invalid value: \"b\": a fully qualified name"},
		"alternatives": {func(d *resourcev1.DeviceClaim) {
			d.Requests[0] = resourcev1.DeviceRequest{Name: "r", FirstAvailable: []resourcev1.DeviceSubRequest{{Name: "a", DeviceClassName: "x"}, {Name: "b", DeviceClassName: "y"}}}
			d.Config = []resourcev1.DeviceClaimConfiguration{{Requests: []string{"r/b"}, DeviceConfiguration: resourcev1.DeviceConfiguration{
				Opaque: &resourcev1.OpaqueDeviceConfiguration{Driver: "d.com", Parameters: runtime.RawExtension{Raw: []byte(`{}`)}}}}}
		}, ""},
		"parameters": {func(d *resourcev1.DeviceClaim) {
			d.Config = []resourcev1.DeviceClaimConfiguration{{DeviceConfiguration: resourcev1.DeviceConfiguration{
				Opaque: &resourcev1.OpaqueDeviceConfiguration{Driver: "d.com", Parameters: runtime.RawExtension{Raw: []byte(`1`)}}}}}
		}, "spec.devices.config[0].opaque.parameters: Invalid value: \"<value omitted>\": must be a valid JSON object"},
	} {
		expect(t, name, ValidateResourceClaim(claim(c.change)), c.want)
	}
}

func allocation(device string) *resourcev1.AllocationResult {
	return &resourcev1.AllocationResult{Devices: resourcev1.DeviceAllocationResult{Results: []resourcev1.DeviceRequestAllocationResult{{Request: "r", Driver: "d.com", Pool: "p", Device: device}}}}
}

func TestClaimStatus(t *testing.T) {
	user := []resourcev1.ResourceClaimConsumerReference{{Resource: "pods", Name: "p", UID: "u"}}
	gone := metav1.Now()
	for name, c := range map[string]struct {
		old, now resourcev1.ResourceClaimStatus
		deleted  bool
		want     string
	}{
		"allocating":        {resourcev1.ResourceClaimStatus{}, resourcev1.ResourceClaimStatus{Allocation: allocation("a"), ReservedFor: user}, false, ""},
		"moving":            {resourcev1.ResourceClaimStatus{Allocation: allocation("a")}, resourcev1.ResourceClaimStatus{Allocation: allocation("b")}, false, "status.allocation: Invalid value"},
		"using nothing":     {resourcev1.ResourceClaimStatus{}, resourcev1.ResourceClaimStatus{ReservedFor: user}, false, "status.reservedFor: Forbidden"},
		"using what leaves": {resourcev1.ResourceClaimStatus{Allocation: allocation("a")}, resourcev1.ResourceClaimStatus{Allocation: allocation("a"), ReservedFor: user}, true, "status.reservedFor: Forbidden"},
		"other device": {resourcev1.ResourceClaimStatus{}, resourcev1.ResourceClaimStatus{Allocation: allocation("a"),
			Devices: []resourcev1.AllocatedDeviceStatus{{Driver: "d.com", Pool: "p", Device: "b"}}}, false, `status.devices[0]: Invalid value: {"Driver":"d.com","Pool":"p","Device":"b","ShareID":""}: must be an allocated device in the claim`},
	} {
		old := claim(func(*resourcev1.DeviceClaim) {})
		old.ResourceVersion = "1"
		if c.deleted {
			old.DeletionTimestamp, old.DeletionGracePeriodSeconds = &gone, ptr.To[int64](0)
		}
		now := old.DeepCopy()
		old.Status, now.Status = c.old, c.now
		expect(t, name, ValidateResourceClaimStatusUpdate(now, old), c.want)
	}
	// A device's status is removed with the device.
	old := resourcev1.ResourceClaimStatus{Allocation: allocation("a"), Devices: []resourcev1.AllocatedDeviceStatus{{Driver: "d.com", Pool: "p", Device: "a"}}}
	now := *old.DeepCopy()
	now.Allocation = nil
	if DropClaimStatus(&now, &old); now.Devices != nil {
		t.Errorf("status of devices stays: %v", now.Devices)
	}
}

func TestSlices(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*resourcev1.ResourceSliceSpec)
		want   string
	}{
		"valid":     {func(*resourcev1.ResourceSliceSpec) {}, ""},
		"no node":   {func(s *resourcev1.ResourceSliceSpec) { s.NodeName = nil }, "spec: Required value: exactly one of `nodeName`"},
		"two":       {func(s *resourcev1.ResourceSliceSpec) { s.AllNodes = ptr.To(true) }, "spec: Invalid value: \"{`nodeName`, `allNodes`}\""},
		"pool":      {func(s *resourcev1.ResourceSliceSpec) { s.Pool.ResourceSliceCount = 0 }, "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero"},
		"attribute": {func(s *resourcev1.ResourceSliceSpec) { s.Devices[0].Attributes["x"] = resourcev1.DeviceAttribute{} }, "spec.devices[0].attributes[x]: Invalid value: \"\": must specify one of: `int`, `bool`"},
		"version": {func(s *resourcev1.ResourceSliceSpec) {
			s.Devices[0].Attributes["x"] = resourcev1.DeviceAttribute{VersionValue: ptr.To("1.0")}
		}, "spec.devices[0].attributes[x].version: Invalid value: \"1.0\": must be a string compatible with semver.org spec 2.0.0"},
		"many": {func(s *resourcev1.ResourceSliceSpec) {
			for i := range 128 {
				s.Devices = append(s.Devices, resourcev1.Device{Name: fmt.Sprint("x", i)})
			}
		}, "spec.devices: Too many: 129: must have at most 128 items"},
		"node of a device": {func(s *resourcev1.ResourceSliceSpec) { s.Devices[0].AllNodes = ptr.To(true) }, "spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set"},
		"policy":           {func(s *resourcev1.ResourceSliceSpec) { s.Devices[0].Capacity = capacity("4", "1", "", "1") }, "spec.devices[0].capacity[memory].requestPolicy: Forbidden"},
	} {
		s := &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: resourcev1.ResourceSliceSpec{Driver: "d.com", NodeName: ptr.To("n1"),
			Pool:    resourcev1.ResourcePool{Name: "p", ResourceSliceCount: 1},
			Devices: []resourcev1.Device{{Name: "a", Attributes: map[resourcev1.QualifiedName]resourcev1.DeviceAttribute{"x": {IntValue: ptr.To[int64](1)}}}}}}
		c.change(&s.Spec)
		expect(t, name, ValidateResourceSlice(s), c.want)
	}
}

func capacity(whole, min, max, step string) map[resourcev1.QualifiedName]resourcev1.DeviceCapacity {
	q := func(text string) *apiresource.Quantity {
		if text == "" {
			return nil
		}
		return ptr.To(apiresource.MustParse(text))
	}
	return map[resourcev1.QualifiedName]resourcev1.DeviceCapacity{"memory": {Value: *q(whole), RequestPolicy: &resourcev1.CapacityRequestPolicy{
		Default: q(min), ValidRange: &resourcev1.CapacityRequestPolicyRange{Min: q(min), Max: q(max), Step: q(step)}}}}
}

func TestCapacity(t *testing.T) {
	for _, c := range []struct{ whole, min, max, step, want string }{
		{"4Gi", "1Gi", "3Gi", "1Gi", ""},
		{"4", "500m", "2", "500m", ""},
		{"4", "500m", "2", "400m", ""}, // rounded up: the gate for fractions is off
		{"4", "1", "4", "2", "step: Invalid value: \"4\": value is not a multiple of a given step (2) from (1)"},
		{"4", "1", "5", "1", "max: Invalid value: \"5\": max is larger than capacity value: 4"},
		{"4", "1", "", "0", "step: Invalid value: \"0\": must be greater than zero"},
		{"4", "1", "", "4", "step: Invalid value: \"4\": one step 5 is larger than capacity value: 4"},
	} {
		r := capacity(c.whole, c.min, c.max, c.step)["memory"]
		want := c.want
		if want != "" {
			want = "requestPolicy.validRange." + want
		}
		expect(t, fmt.Sprint(c), validateCapacity(&r, true, nil), want)
	}
}

func TestAlphaFieldsGo(t *testing.T) {
	spec := resourcev1.ResourceSliceSpec{PartitionTypeAttribute: ptr.To[resourcev1.FullyQualifiedName]("a.com/b"), Devices: []resourcev1.Device{{
		Attributes: map[resourcev1.QualifiedName]resourcev1.DeviceAttribute{"x": {IntValues: []int64{1}}}}}}
	old := *spec.DeepCopy()
	kept := *spec.DeepCopy()
	DropSlice(&spec, nil)
	DropSlice(&kept, &old)
	if spec.PartitionTypeAttribute != nil || spec.Devices[0].Attributes["x"].IntValues != nil || kept.PartitionTypeAttribute == nil || kept.Devices[0].Attributes["x"].IntValues == nil {
		t.Errorf("new: %v, as stored: %v", spec, kept)
	}
}

func noise[T any](create func(*T) field.ErrorList, updates ...func(now, old *T) field.ErrorList) func(*randfill.Filler, func(any)) {
	return func(f *randfill.Filler, defaults func(any)) {
		a, b := new(T), new(T)
		f.Fill(a)
		f.Fill(b)
		create(a)
		defaults(a)
		create(a)
		for _, u := range updates {
			u(a, b)
			u(a, a)
		}
	}
}

func TestNoPanic(t *testing.T) {
	s := scheme(t)
	for seed := range int64(30) {
		f := randfill.NewWithSeed(seed).NilChance(0.4).NumElements(0, 2).MaxDepth(12).Funcs(
			func(*metav1.FieldsV1, randfill.Continue) {},
			func(r *runtime.RawExtension, c randfill.Continue) { r.Raw = []byte(c.String(5)) },
			func(q *apiresource.Quantity, c randfill.Continue) {
				*q = *apiresource.NewMilliQuantity(c.Int63()%5000-1000, apiresource.DecimalSI)
			},
		)
		for _, kind := range []func(*randfill.Filler, func(any)){
			noise(ValidateResourceClaim, ValidateResourceClaimUpdate, ValidateResourceClaimStatusUpdate, func(a, b *resourcev1.ResourceClaim) field.ErrorList {
				DropClaim(&a.Spec, &b.Spec)
				DropClaimStatus(&a.Status, &b.Status)
				return nil
			}),
			noise(ValidateResourceClaimTemplate, ValidateResourceClaimTemplateUpdate),
			noise(ValidateDeviceClass, ValidateDeviceClassUpdate),
			noise(ValidateDeviceTaintRule, ValidateDeviceTaintRuleUpdate, ValidateDeviceTaintRuleStatusUpdate),
			noise(ValidateResourceSlice, ValidateResourceSliceUpdate, func(a, b *resourcev1.ResourceSlice) field.ErrorList {
				DropSlice(&a.Spec, &b.Spec)
				DropSlice(&b.Spec, nil)
				return nil
			}),
		} {
			kind(f, func(o any) { s.Default(o.(runtime.Object)) })
		}
	}
}

// TestShares compares devices of a claim's status by their shares, of which none at all
// and an empty one are the same.
func TestShares(t *testing.T) {
	none, empty, one, other := (*string)(nil), ptr.To(""), ptr.To("a"), ptr.To("b")
	for name, c := range map[string]struct {
		shares []*string
		want   string // what is said of the last
	}{
		"none twice":  {[]*string{none, none}, `Duplicate value: {"driver":"d","pool":"p","device":"x","conditions":null}`},
		"empty twice": {[]*string{empty, empty}, `Duplicate value: {"driver":"d","pool":"p","device":"x","shareID":"","conditions":null}`},
		"either":      {[]*string{empty, none}, `Duplicate value: {"Driver":"d","Pool":"p","Device":"x","ShareID":""}`},
		"or":          {[]*string{none, empty}, `Duplicate value: {"Driver":"d","Pool":"p","Device":"x","ShareID":""}`},
		"another":     {[]*string{one, other}, ""},
		"and none":    {[]*string{one, none}, ""},
	} {
		claim := &resourcev1.ResourceClaim{}
		for _, share := range c.shares {
			claim.Status.Devices = append(claim.Status.Devices, resourcev1.AllocatedDeviceStatus{Driver: "d", Pool: "p", Device: "x", ShareID: share})
		}
		var got []string
		for _, err := range ValidateResourceClaimStatusUpdate(claim, &resourcev1.ResourceClaim{}) {
			if err.Type == field.ErrorTypeDuplicate {
				got = append(got, err.Error())
			}
		}
		want := []string(nil)
		if c.want != "" {
			want = []string{"status.devices[1]: " + c.want}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
