package dynamicresources

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	v1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	resourcehelper "k8s.io/component-helpers/resource"
	fwk "k8s.io/kube-scheduler/framework"
)

// extendedClaim returns the claim for the pod's extended resources that classes
// stand for: one that an earlier cycle left, or a new one without requests, for
// every node needs its own. It is nil if there are no such resources.
func (p *DynamicResources) extendedClaim(pod *v1.Pod, s *state) *resourcev1.ResourceClaim {
	for name, q := range resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{}) {
		if q.IsZero() || p.store.ClassOf(name) == nil {
			continue
		}
		if s.scalars == nil {
			s.scalars = map[v1.ResourceName]int64{}
		}
		s.scalars[name] = q.Value()
	}
	if len(s.scalars) == 0 {
		return nil
	}
	if old := p.store.ExtendedClaim(pod); old != nil {
		return old
	}
	yes := true
	return &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{
		Namespace: pod.Namespace, GenerateName: pod.Name + "-extended-resources-",
		UID:             uuid.NewUUID(), // until it has one from the API
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID, Controller: &yes}},
		Annotations:     map[string]string{resourcev1.ExtendedResourceClaimAnnotation: "true"},
	}}
}

// onNode works out which of the pod's extended resources are devices on a node:
// those of which the node itself has none.
func (p *DynamicResources) onNode(s *state, pod *v1.Pod, info fwk.NodeInfo, here *placement) *fwk.Status {
	e := s.extended()
	if e.Name != "" {
		return refused("cannot schedule extended resource claim") // PostFilter deletes it
	}
	have := info.GetAllocatable().GetScalarResources()
	var names []v1.ResourceName
	for name := range s.scalars {
		if have[name] == 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	claim := e.DeepCopy()
	for _, name := range names {
		class := p.store.ClassOf(name)
		if class == nil {
			return refused("cannot fit resource")
		}
		requests, mappings := requestsFor(pod, name, class.Name)
		claim.Spec.Devices.Requests = append(claim.Spec.Devices.Requests, requests...)
		here.mappings = append(here.mappings, mappings...)
	}
	slices.SortFunc(claim.Spec.Devices.Requests, func(a, b resourcev1.DeviceRequest) int { return cmp.Compare(a.Name, b.Name) })
	here.extended = claim
	return nil
}

// requestsFor returns the requests for one extended resource of a pod, and which
// container uses which of them. Init containers that end use what containers use
// that run later, and share one request for what they need beyond.
func requestsFor(pod *v1.Pod, name v1.ResourceName, class string) (requests []resourcev1.DeviceRequest, mappings []v1.ContainerExtendedResourceRequest) {
	containers := append(slices.Clone(pod.Spec.InitContainers), pod.Spec.Containers...)
	ends := func(i int) bool {
		p := containers[i].RestartPolicy
		return i < len(pod.Spec.InitContainers) && (p == nil || *p != v1.ContainerRestartPolicyAlways)
	}
	lasting := make([]*resourcev1.DeviceRequest, len(containers))
	for i := range containers {
		if !ends(i) {
			var m []v1.ContainerExtendedResourceRequest
			lasting[i], m = requestOf(&containers[i], i, name, class, nil)
			mappings = append(mappings, m...)
		}
	}
	var passing *resourcev1.DeviceRequest
	var early []v1.ContainerExtendedResourceRequest
	shared := map[string]bool{}
	for i := range containers {
		if !ends(i) {
			continue
		}
		r, m := requestOf(&containers[i], i, name, class, lasting[i:])
		early = append(early, m...)
		if r == nil {
			continue
		}
		shared[r.Name] = true
		if passing == nil || passing.Exactly.Count < r.Exactly.Count {
			passing = r
		}
	}
	for i := range early {
		if shared[early[i].RequestName] {
			early[i].RequestName = passing.Name
		}
	}
	for _, r := range append([]*resourcev1.DeviceRequest{passing}, lasting...) {
		if r != nil {
			requests = append(requests, *r)
		}
	}
	return requests, append(mappings, early...)
}

// requestOf returns what a container needs of a resource beyond the requests
// that it may use, nil if nothing, and all that it uses. Names are upstream's.
func requestOf(c *v1.Container, index int, name v1.ResourceName, class string, usable []*resourcev1.DeviceRequest) (*resourcev1.DeviceRequest, []v1.ContainerExtendedResourceRequest) {
	q, ok := c.Resources.Requests[name]
	if !ok || q.Value() == 0 {
		return nil, nil
	}
	left := q.Value()
	var uses []v1.ContainerExtendedResourceRequest
	use := func(request string) {
		uses = append(uses, v1.ContainerExtendedResourceRequest{ContainerName: c.Name, ResourceName: string(name), RequestName: request})
	}
	for _, r := range usable {
		if r == nil {
			continue
		}
		use(r.Name)
		if left -= r.Exactly.Count; left <= 0 {
			return nil, uses
		}
	}
	position := slices.Index(slices.Sorted(maps.Keys(c.Resources.Requests)), name)
	request := &resourcev1.DeviceRequest{Name: fmt.Sprintf("container-%d-request-%d", index, position), Exactly: &resourcev1.ExactDeviceRequest{
		DeviceClassName: class, AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: left,
	}}
	use(request.Name)
	return request, uses
}
