package scheduler

import (
	"errors"
	"sync/atomic"
	"testing"

	. "github.com/onsi/gomega"
	v1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// slice has devices of driver gpu.example on one node.
func slice(node string, devices ...string) *resourcev1.ResourceSlice {
	s := &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: "slice-" + node}, Spec: resourcev1.ResourceSliceSpec{
		Driver: "gpu.example", NodeName: &node, Pool: resourcev1.ResourcePool{Name: node, ResourceSliceCount: 1},
	}}
	for _, d := range devices {
		s.Spec.Devices = append(s.Spec.Devices, resourcev1.Device{Name: d})
	}
	return s
}

func deviceClass(name, resourceName string, selectors ...string) *resourcev1.DeviceClass {
	c := &resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if resourceName != "" {
		c.Spec.ExtendedResourceName = &resourceName
	}
	for _, s := range selectors {
		c.Spec.Selectors = append(c.Spec.Selectors, resourcev1.DeviceSelector{CEL: &resourcev1.CELDeviceSelector{Expression: s}})
	}
	return c
}

func exactly(class string) *resourcev1.ExactDeviceRequest {
	return &resourcev1.ExactDeviceRequest{DeviceClassName: class, AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: 1}
}

func deviceClaim(name string, requests ...resourcev1.DeviceRequest) *resourcev1.ResourceClaim {
	if len(requests) == 0 {
		requests = []resourcev1.DeviceRequest{{Name: "r", Exactly: exactly("gpu")}}
	}
	return &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name)},
		Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: requests}}}
}

func claiming(p *v1.Pod, claims ...string) *v1.Pod {
	for _, c := range claims {
		p.Spec.ResourceClaims = append(p.Spec.ResourceClaims, v1.PodResourceClaim{Name: c, ResourceClaimName: &c})
	}
	return p
}

func (w *world) deviceClaim(name string) *resourcev1.ResourceClaim {
	var c resourcev1.ResourceClaim
	w.Expect(w.client.Get(w.ctx, types.NamespacedName{Namespace: "default", Name: name}, &c)).To(Succeed())
	return &c
}

func device(c *resourcev1.ResourceClaim) string {
	if a := c.Status.Allocation; a != nil && len(a.Devices.Results) == 1 {
		return a.Devices.Results[0].Pool + "/" + a.Devices.Results[0].Device
	}
	return ""
}

func reservedFor(c *resourcev1.ResourceClaim) (names []string) {
	for _, r := range c.Status.ReservedFor {
		names = append(names, r.Name)
	}
	return names
}

func TestPodsWaitForWhatTheirResourceClaimsNeed(t *testing.T) {
	w := start(t, node("a", "4"), node("b", "4"))
	none := "0/2 nodes are available: "
	w.create(claiming(pod("p", "1"), "gpu"))
	w.Consistently(func() string { return w.pod("p").Spec.NodeName }, "100ms").Should(BeEmpty())
	w.create(deviceClaim("gpu"))
	w.eventuallyPending("p", "Unschedulable", none+"request r: device class gpu does not exist."+notHelpful)
	w.create(deviceClass("gpu", ""))
	w.eventuallyPending("p", "Unschedulable", none+"2 cannot allocate all claims."+notHelpful)
	w.create(slice("b", "g0"))
	w.eventuallyOn("p", "b")
	c := w.deviceClaim("gpu")
	w.Expect(device(c)).To(Equal("b/g0"))
	w.Expect(reservedFor(c)).To(Equal([]string{"p"}))
	w.Expect(c.Finalizers).To(ConsistOf(resourcev1.Finalizer))
	w.Expect(c.Status.Allocation.AllocationTimestamp).NotTo(BeNil())

	// The claim may be shared; its device can be in no other claim.
	w.create(claiming(pod("shares", "1"), "gpu"))
	w.eventuallyOn("shares", "b")
	w.Expect(reservedFor(w.deviceClaim("gpu"))).To(Equal([]string{"p", "shares"}))
	w.create(deviceClaim("other"), claiming(pod("q", "1"), "other"))
	w.eventuallyPending("q", "Unschedulable", none+"2 cannot allocate all claims."+notHelpful)
	c = w.deviceClaim("gpu")
	c.Status.Allocation, c.Status.ReservedFor = nil, nil
	w.Expect(w.client.Status().Update(w.ctx, c)).To(Succeed())
	w.eventuallyOn("q", "b")
	w.Expect(device(w.deviceClaim("other"))).To(Equal("b/g0"))
	w.create(pod("without", "1"))
	w.Eventually(func() string { return w.pod("without").Spec.NodeName }).ShouldNot(BeEmpty())
}

func TestAClaimOfATemplateIsWaitedFor(t *testing.T) {
	w := start(t, node("a", "4"), deviceClass("gpu", ""), slice("a", "g0"))
	p := pod("p", "1")
	p.Spec.ResourceClaims = []v1.PodResourceClaim{{Name: "mine", ResourceClaimTemplateName: ptr.To("template")}}
	w.create(p)
	made := deviceClaim("p-mine-x")
	made.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "p", UID: p.UID, Controller: ptr.To(true)}}
	w.create(made)
	w.Consistently(func() string { return w.pod("p").Spec.NodeName }, "100ms").Should(BeEmpty())
	p = w.pod("p")
	p.Status.ResourceClaimStatuses = []v1.PodResourceClaimStatus{{Name: "mine", ResourceClaimName: ptr.To("p-mine-x")}}
	w.Expect(w.client.Status().Update(w.ctx, p)).To(Succeed())
	w.eventuallyOn("p", "a")
	w.Expect(reservedFor(w.deviceClaim("p-mine-x"))).To(Equal([]string{"p"}))
}

func TestAlternativesAndTaintsOfDevices(t *testing.T) {
	sized := func(node, size string) *resourcev1.ResourceSlice {
		s := slice(node, size)
		s.Spec.Devices[0].Attributes = map[resourcev1.QualifiedName]resourcev1.DeviceAttribute{"size": {StringValue: &size}}
		return s
	}
	w := start(t, node("a", "4"), node("b", "4"), node("c", "4"), sized("a", "small"), sized("b", "medium"), sized("c", "large"),
		deviceClass("large", "", `device.attributes["gpu.example"].size == "large"`), deviceClass("any", ""))
	alternatives := func(first, second string) resourcev1.DeviceRequest {
		sub := func(name, class string) resourcev1.DeviceSubRequest {
			return resourcev1.DeviceSubRequest{Name: name, DeviceClassName: class, AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: 1}
		}
		return resourcev1.DeviceRequest{Name: "r", FirstAvailable: []resourcev1.DeviceSubRequest{sub("first", first), sub("second", second)}}
	}
	w.create(deviceClaim("rather-large", alternatives("large", "any")), claiming(pod("p", "1"), "rather-large"))
	w.eventuallyOn("p", "c")
	// Of what is left one is tainted.
	w.create(&resourcev1.DeviceTaintRule{ObjectMeta: metav1.ObjectMeta{Name: "broken"}, Spec: resourcev1.DeviceTaintRuleSpec{
		DeviceSelector: &resourcev1.DeviceTaintSelector{Driver: ptr.To("gpu.example"), Pool: ptr.To("a")},
		Taint:          resourcev1.DeviceTaint{Key: "broken", Effect: resourcev1.DeviceTaintEffectNoSchedule},
	}})
	w.create(deviceClaim("two", alternatives("any", "large")), claiming(pod("q", "1"), "two"))
	w.eventuallyOn("q", "b")
}

func TestExtendedResourcesAreDevices(t *testing.T) {
	const gpu = v1.ResourceName("example.com/gpu")
	own := node("own", "1")
	own.Status.Allocatable[gpu] = resource.MustParse("1")
	w := start(t, node("devices", "4"), own, deviceClass("gpu", string(gpu)), slice("devices", "g0", "g1"))
	asks := func(name, cpu string) *v1.Pod {
		p := pod(name, cpu)
		p.Spec.Containers[0].Resources.Requests[gpu] = resource.MustParse("1")
		return p
	}
	w.create(asks("p", "2")) // too large for the node that has it
	w.eventuallyOn("p", "devices")
	w.Eventually(func() *v1.PodExtendedResourceClaimStatus { return w.pod("p").Status.ExtendedResourceClaimStatus }).ShouldNot(BeNil())
	status := w.pod("p").Status.ExtendedResourceClaimStatus
	w.Expect(status.RequestMappings).To(Equal([]v1.ContainerExtendedResourceRequest{{ContainerName: "c", ResourceName: string(gpu), RequestName: "container-0-request-1"}}))
	c := w.deviceClaim(status.ResourceClaimName)
	w.Expect(c.Name).To(HavePrefix("p-extended-resources-"))
	w.Expect(reservedFor(c)).To(Equal([]string{"p"}))
	w.Expect(c.Spec.Devices.Requests[0].Exactly.DeviceClassName).To(Equal("gpu"))
	w.Expect(c.Annotations).To(HaveKeyWithValue(resourcev1.ExtendedResourceClaimAnnotation, "true"))

	only := asks("q", "1")
	only.Spec.NodeSelector = map[string]string{v1.LabelHostname: "own"}
	w.create(only)
	w.eventuallyOn("q", "own")
	w.Expect(w.pod("q").Status.ExtendedResourceClaimStatus).To(BeNil())
}

func TestDevicesAreGivenBackWhenBindingFails(t *testing.T) {
	w := start(t, node("a", "4"), deviceClass("gpu", "example.com/gpu"), slice("a", "g0"))
	var fails atomic.Bool
	fails.Store(true)
	w.failBind = func(string) error {
		if fails.Load() {
			return errors.New("no luck")
		}
		return nil
	}
	p := pod("p", "1")
	p.Spec.Containers[0].Resources.Requests["example.com/gpu"] = resource.MustParse("1")
	w.create(p)
	var list resourcev1.ResourceClaimList
	w.Eventually(w.events.list).Should(ContainElement(ContainSubstring("no luck")))
	fails.Store(false)
	w.Eventually(func() string { return w.pod("p").Spec.NodeName }, "10s").Should(Equal("a")) // after a backoff
	w.Expect(w.client.List(w.ctx, &list)).To(Succeed())
	w.Expect(list.Items).To(HaveLen(1))
	w.Expect(w.pod("p").Status.ExtendedResourceClaimStatus.ResourceClaimName).To(Equal(list.Items[0].Name))
}

// A device that has to be made ready first is waited for.
func TestBindingWaitsForDevices(t *testing.T) {
	s := slice("a", "g0")
	s.Spec.Devices[0].BindingConditions, s.Spec.Devices[0].BindingFailureConditions = []string{"attached"}, []string{"broken"}
	w := start(t, node("a", "4"), deviceClass("gpu", ""), s)
	w.create(deviceClaim("gpu"), claiming(pod("p", "1"), "gpu"), pod("other", "1"))
	w.Eventually(w.events.list).Should(ContainElement("Normal BindingConditionsPending Scheduling p: waiting for binding conditions for device on node a"))
	w.eventuallyOn("other", "a")
	w.Expect(w.pod("p").Spec.NodeName).To(BeEmpty())
	c := w.deviceClaim("gpu")
	c.Status.Devices = []resourcev1.AllocatedDeviceStatus{{Driver: "gpu.example", Pool: "a", Device: "g0",
		Conditions: []metav1.Condition{{Type: "attached", Status: metav1.ConditionTrue}}}}
	w.Expect(w.client.Status().Update(w.ctx, c)).To(Succeed())
	w.eventuallyOn("p", "a")
}
