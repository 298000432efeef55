package cache

import (
	"maps"

	v1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
	fwk "k8s.io/kube-scheduler/framework"
)

// Requests assumed for a container that asks for nothing, so that such pods do
// not all land on one node. They count for scores only.
// https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins
const (
	// DefaultMilliCPURequest is in thousandths of a core.
	DefaultMilliCPURequest int64 = 100
	// DefaultMemoryRequest is in bytes.
	DefaultMemoryRequest int64 = 200 * 1024 * 1024
)

// Resource is a sum of compute resources as plain integers.
type Resource struct {
	// MilliCPU is in thousandths of a core.
	MilliCPU int64
	// Memory is in bytes.
	Memory int64
	// EphemeralStorage is in bytes.
	EphemeralStorage int64
	// AllowedPodNumber is the node's allocatable "pods".
	AllowedPodNumber int
	// ScalarResources holds everything else: hugepages and extended resources.
	ScalarResources map[v1.ResourceName]int64
}

var _ fwk.Resource = &Resource{}

// NewResource converts a ResourceList.
func NewResource(rl v1.ResourceList) *Resource {
	r := &Resource{}
	for name, q := range rl {
		switch name {
		case v1.ResourceCPU:
			r.MilliCPU = q.MilliValue()
		case v1.ResourceMemory:
			r.Memory = q.Value()
		case v1.ResourceEphemeralStorage:
			r.EphemeralStorage = q.Value()
		case v1.ResourcePods:
			r.AllowedPodNumber = int(q.Value())
		default:
			r.setScalar(name, q.Value())
		}
	}
	return r
}

func (r *Resource) GetMilliCPU() int64         { return r.MilliCPU }
func (r *Resource) GetMemory() int64           { return r.Memory }
func (r *Resource) GetEphemeralStorage() int64 { return r.EphemeralStorage }
func (r *Resource) GetAllowedPodNumber() int   { return r.AllowedPodNumber }

// GetScalarResources returns the map itself; callers must not write to it.
func (r *Resource) GetScalarResources() map[v1.ResourceName]int64 { return r.ScalarResources }

// SetMaxResource raises each resource to at least the list's value.
func (r *Resource) SetMaxResource(rl v1.ResourceList) {
	o := NewResource(rl)
	r.MilliCPU = max(r.MilliCPU, o.MilliCPU)
	r.Memory = max(r.Memory, o.Memory)
	r.EphemeralStorage = max(r.EphemeralStorage, o.EphemeralStorage)
	for name, v := range o.ScalarResources {
		r.setScalar(name, max(v, r.ScalarResources[name]))
	}
}

// add sums sign*o into r; the allowed pod number is a limit and not summed.
func (r *Resource) add(o fwk.Resource, sign int64) {
	r.MilliCPU += sign * o.GetMilliCPU()
	r.Memory += sign * o.GetMemory()
	r.EphemeralStorage += sign * o.GetEphemeralStorage()
	for name, v := range o.GetScalarResources() {
		r.setScalar(name, r.ScalarResources[name]+sign*v)
	}
}

func (r *Resource) setScalar(name v1.ResourceName, v int64) {
	if r.ScalarResources == nil {
		r.ScalarResources = map[v1.ResourceName]int64{}
	}
	r.ScalarResources[name] = v
}

// clone copies r, maps included.
func (r *Resource) clone() Resource {
	c := *r
	c.ScalarResources = maps.Clone(r.ScalarResources)
	return c
}

// podResource sums what the pod asks for: containers, sidecars, the largest
// init container, pod-level requests and overhead, and what a resize granted.
func podResource(pod *v1.Pod) fwk.PodResource {
	opts := resourcehelper.PodResourcesOptions{
		UseStatusResources: true,
		InPlacePodLevelResourcesVerticalScalingEnabled: true,
	}
	request := NewResource(resourcehelper.PodRequests(pod, opts))
	cpu, mem := request.MilliCPU, request.Memory
	if needsDefaultRequests(pod) {
		opts.NonMissingContainerRequests = v1.ResourceList{
			v1.ResourceCPU:    *apiresource.NewMilliQuantity(DefaultMilliCPURequest, apiresource.DecimalSI),
			v1.ResourceMemory: *apiresource.NewQuantity(DefaultMemoryRequest, apiresource.DecimalSI),
		}
		nonZero := resourcehelper.PodRequests(pod, opts)
		cpu, mem = nonZero.Cpu().MilliValue(), nonZero.Memory().Value()
	}
	return fwk.PodResource{Resource: request, Non0CPU: cpu, Non0Mem: mem}
}

// needsDefaultRequests spares the common, fully specified pod a second sum.
func needsDefaultRequests(pod *v1.Pod) bool {
	lacks := func(cs []v1.Container) bool {
		for i := range cs {
			_, cpu := cs[i].Resources.Requests[v1.ResourceCPU]
			_, mem := cs[i].Resources.Requests[v1.ResourceMemory]
			if !cpu || !mem {
				return true
			}
		}
		return false
	}
	return lacks(pod.Spec.Containers) || lacks(pod.Spec.InitContainers)
}
