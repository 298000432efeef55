package controlplane

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"

	"github.com/coracle-k8s/coracle/test/env"
)

const gpuClass = `apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: gpu}
spec:
  extendedResourceName: example.test/gpu
  selectors: [{cel: {expression: 'device.driver == "gpu.example.test" && device.attributes["gpu.example.test"].model == "x1"'}}]
`

func gpus(node string) string {
	return `apiVersion: resource.k8s.io/v1
kind: ResourceSlice
metadata: {name: gpus}
spec:
  driver: gpu.example.test
  nodeName: ` + node + `
  pool: {name: ` + node + `, generation: 1, resourceSliceCount: 1}
  devices:
  - {name: gpu-0, attributes: {model: {string: x1}}}
  - {name: gpu-1, attributes: {model: {string: x2}}}
`
}

const gpuTemplate = `apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: {name: gpu}
spec: {spec: {devices: {requests: [{name: gpu, exactly: {deviceClassName: gpu}}]}}}
`

var _ = Describe("devices", Ordered, func() {
	var w world
	var node string

	BeforeAll(func() {
		w = begin(env.WithNodes(2))
		Eventually(func() int {
			var list corev1.NodeList
			w.list(&list, "")
			if len(list.Items) > 0 {
				node = list.Items[len(list.Items)-1].Name
			}
			return len(list.Items)
		}).Should(Equal(2), "two nodes register")
		w.ok("wait", "--for=condition=Ready", "node", "--all", "--timeout=20s")
		w.apply(gpuTemplate)
	})

	claims := func() []resourcev1.ResourceClaim {
		var list resourcev1.ResourceClaimList
		w.list(&list, "default")
		return list.Items
	}
	const claim = `resourceClaims: [{name: mine, resourceClaimTemplateName: gpu}]`

	It("keeps a pod waiting until its claim can be allocated", func() {
		w.apply(pod("first", claim))
		failure := func() string {
			return w.ok("get", "events", "--field-selector", "reason=FailedScheduling,involvedObject.name=first", "-o", "jsonpath={.items[*].message}{.items[*].note}")
		}
		Eventually(failure).Should(ContainSubstring("0/2 nodes are available: request gpu: device class gpu does not exist."))
		w.apply(gpuClass)
		Eventually(failure).Should(ContainSubstring("2 cannot allocate all claims"))
		w.apply(gpus(node))
		w.ok("wait", "--for=condition=Ready", "pod/first", "--timeout=20s")
		Expect(w.ok("get", "pod", "first", "-o", "jsonpath={.spec.nodeName}")).To(Equal(node))
		Expect(claims()).To(HaveLen(1))
		c := claims()[0]
		Expect(c.Name).To(HavePrefix("first-mine-"))
		Expect(c.Status.Allocation.Devices.Results).To(HaveLen(1))
		Expect(c.Status.Allocation.Devices.Results[0].Device).To(Equal("gpu-0"))
		Expect(c.Status.ReservedFor).To(HaveLen(1))
		Expect(w.ok("get", "resourceclaims")).To(MatchRegexp(`first-mine-\S+ +allocated,reserved`))
	})

	It("gives a device to the next pod when the first is gone", func() {
		w.apply(pod("second", claim))
		Eventually(claims).Should(HaveLen(2))
		Consistently(func() string { return w.ok("get", "pod", "second", "-o", "jsonpath={.spec.nodeName}") }, "300ms").Should(BeEmpty())
		w.ok("delete", "pod", "first")
		w.ok("wait", "--for=condition=Ready", "pod/second", "--timeout=20s")
		w.ok("delete", "pod", "second")
		Eventually(claims).Should(BeEmpty(), "claims that were made for pods go with them")
	})

	It("lets a class of devices stand for an extended resource", func() {
		w.apply(strings.Replace(pod("third"), `image: "example.test/main:1"`, `image: x, resources: {limits: {example.test/gpu: "1"}}`, 1))
		w.ok("wait", "--for=condition=Ready", "pod/third", "--timeout=20s")
		Expect(w.ok("get", "pod", "third", "-o", "jsonpath={.spec.nodeName} {.status.extendedResourceClaimStatus.requestMappings[*].requestName}")).To(Equal(node + " container-0-request-0"))
		Expect(claims()).To(HaveLen(1))
		Expect(claims()[0].Name).To(HavePrefix("third-extended-resources-"))
		w.ok("delete", "pod", "third")
		Eventually(claims).Should(BeEmpty())
	})
})
