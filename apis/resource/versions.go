package resource

import (
	"slices"

	resourcev1 "k8s.io/api/resource/v1"
	resourcev1alpha3 "k8s.io/api/resource/v1alpha3"
	resourcev1beta1 "k8s.io/api/resource/v1beta1"
	resourcev1beta2 "k8s.io/api/resource/v1beta2"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// addVersions registers what v1beta2, v1beta1 and v1alpha3 have of the kinds of v1.
func addVersions(s *runtime.Scheme) error {
	if err := hub.AddVersion(s, resourcev1beta2.SchemeGroupVersion, []runtime.Object{
		&resourcev1beta2.DeviceClass{}, &resourcev1beta2.DeviceClassList{},
		&resourcev1beta2.DeviceTaintRule{}, &resourcev1beta2.DeviceTaintRuleList{},
		&resourcev1beta2.ResourceClaim{}, &resourcev1beta2.ResourceClaimList{},
		&resourcev1beta2.ResourceClaimTemplate{}, &resourcev1beta2.ResourceClaimTemplateList{},
		&resourcev1beta2.ResourceSlice{}, &resourcev1beta2.ResourceSliceList{},
	}); err != nil {
		return err
	}
	if err := hub.AddVersion(s, resourcev1alpha3.SchemeGroupVersion, []runtime.Object{
		&resourcev1alpha3.DeviceTaintRule{}, &resourcev1alpha3.DeviceTaintRuleList{},
	}); err != nil {
		return err
	}
	return hub.AddVersion(s, resourcev1beta1.SchemeGroupVersion, []runtime.Object{
		&resourcev1beta1.DeviceClass{}, &resourcev1beta1.DeviceClassList{},
		&resourcev1beta1.ResourceClaim{}, &resourcev1beta1.ResourceClaimList{},
		&resourcev1beta1.ResourceClaimTemplate{}, &resourcev1beta1.ResourceClaimTemplateList{},
		&resourcev1beta1.ResourceSlice{}, &resourcev1beta1.ResourceSliceList{},
	}, v1beta1Rules()...)
}

// v1beta1Rules convert what v1beta1 has elsewhere: the fields of a request for
// exactly one kind of device are the request's own, those of a device are below
// basic, and a slice's nodeName and allNodes are no pointers.
func v1beta1Rules() []hub.Rule {
	return []hub.Rule{
		hub.NewRule(requestFromV1beta1), hub.NewRule(requestToV1beta1),
		hub.NewRule(deviceFromV1beta1), hub.NewRule(deviceToV1beta1),
		hub.NewRule(sliceFromV1beta1), hub.NewRule(sliceToV1beta1),
		hub.NewDefaults(func(c *resourcev1beta1.ResourceClaim, hubs func()) { defaultV1beta1(&c.Spec, hubs) }),
		hub.NewDefaults(func(t *resourcev1beta1.ResourceClaimTemplate, hubs func()) { defaultV1beta1(&t.Spec.Spec, hubs) }),
	}
}

// defaultV1beta1 sets the hub's defaults but for requests that name no class: they may
// have alternatives instead, and get neither a mode nor a count.
func defaultV1beta1(spec *resourcev1beta1.ResourceClaimSpec, hubs func()) {
	given := slices.Clone(spec.Devices.Requests)
	hubs()
	for i := range spec.Devices.Requests {
		if r := &spec.Devices.Requests[i]; r.DeviceClassName == "" {
			r.AllocationMode, r.Count = given[i].AllocationMode, given[i].Count
		}
	}
}

func requestFromV1beta1(c *hub.Converter, in *resourcev1beta1.DeviceRequest, out *resourcev1.DeviceRequest) {
	out.Exactly = nil
	if in.DeviceClassName != "" || in.Selectors != nil || in.AllocationMode != "" || in.Count != 0 ||
		in.AdminAccess != nil || in.Tolerations != nil || in.Capacity != nil || in.DerivedAttributes != nil {
		out.Exactly = &resourcev1.ExactDeviceRequest{}
		c.Fields(in, out.Exactly)
	}
}

func requestToV1beta1(c *hub.Converter, in *resourcev1.DeviceRequest, out *resourcev1beta1.DeviceRequest) {
	exactly := in.Exactly
	if exactly == nil {
		exactly = &resourcev1.ExactDeviceRequest{}
	}
	c.Fields(exactly, out)
}

func deviceFromV1beta1(c *hub.Converter, in *resourcev1beta1.Device, out *resourcev1.Device) {
	basic := in.Basic
	if basic == nil {
		basic = &resourcev1beta1.BasicDevice{}
	}
	c.Fields(basic, out)
}

func deviceToV1beta1(c *hub.Converter, in *resourcev1.Device, out *resourcev1beta1.Device) {
	out.Basic = &resourcev1beta1.BasicDevice{}
	c.Fields(in, out.Basic)
}

func sliceFromV1beta1(_ *hub.Converter, in *resourcev1beta1.ResourceSliceSpec, out *resourcev1.ResourceSliceSpec) {
	out.NodeName, out.AllNodes = nil, nil
	if in.NodeName != "" {
		out.NodeName = new(in.NodeName)
	}
	if in.AllNodes {
		out.AllNodes = new(true)
	}
}

func sliceToV1beta1(_ *hub.Converter, in *resourcev1.ResourceSliceSpec, out *resourcev1beta1.ResourceSliceSpec) {
	out.NodeName, out.AllNodes = "", in.AllNodes != nil && *in.AllNodes
	if in.NodeName != nil {
		out.NodeName = *in.NodeName
	}
}
