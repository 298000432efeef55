// Package admission decides whether a node takes a pod, as the kubelet does, and keeps what the
// pods that it took hold of its resources.
//
// The API of this package is not stable: see docs/api.md.
package admission

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/component-helpers/resource"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apis/extendedresource"
	"github.com/coracle-k8s/coracle/nodeagent/pods"
)

// ReasonNodeAffinity is the reason of a pod that does not select the node.
const ReasonNodeAffinity = "NodeAffinity"

// Node has what a decision depends on besides pods.
type Node struct {
	// Object is nil before it is known; then only resources count.
	Object      *corev1.Node
	Allocatable corev1.ResourceList
	// UnsafeSysctls are allowed besides the safe ones.
	UnsafeSysctls []string
	// AppArmor is set where the kernel enforces profiles.
	AppArmor bool
}

// request is a pod that asks for a node.
type request struct {
	Node
	pod *corev1.Pod
	// others are the pods that hold resources already, with what they were granted.
	others []*corev1.Pod
}

// reject returns why a pod cannot run on the node, or nil. Reasons and messages
// are the kubelet's. Critical pods are subject to it like all others.
func (r *request) reject() *pods.Failure {
	if f := forbiddenSysctl(r.pod, r.UnsafeSysctls); f != nil {
		return f
	}
	if !r.AppArmor && wantsAppArmor(r.pod) {
		return &pods.Failure{Reason: "AppArmor", Message: "Pod was rejected: Cannot enforce AppArmor: AppArmor is not enabled on the host"}
	}
	if f := r.insufficient(r.pod); f != nil {
		return f
	}
	if r.Object == nil {
		return nil
	}
	match, err := nodeaffinity.GetRequiredNodeAffinity(r.pod).Match(r.Object)
	if err != nil || !match {
		return &pods.Failure{Reason: ReasonNodeAffinity, Message: "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"}
	}
	if r.portTaken() {
		return &pods.Failure{Reason: "NodePorts", Message: "Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"}
	}
	return nil
}

// wantsAppArmor reports whether the pod or a container of it has a profile that confines.
func wantsAppArmor(pod *corev1.Pod) bool {
	confines := func(p *corev1.AppArmorProfile) bool {
		return p != nil && p.Type != corev1.AppArmorProfileTypeUnconfined
	}
	if sc := pod.Spec.SecurityContext; sc != nil && confines(sc.AppArmorProfile) {
		return true
	}
	return !podapi.VisitContainers(&pod.Spec, func(c *corev1.Container, _ podapi.ContainerType) bool {
		return c.SecurityContext == nil || !confines(c.SecurityContext.AppArmorProfile)
	})
}

// insufficient returns a failure if a pod requests more of a resource than is left.
func (r *request) insufficient(pod *corev1.Pod) *pods.Failure {
	if most, ok := r.Allocatable[corev1.ResourcePods]; ok && int64(len(r.others)+1) > most.Value() {
		return &pods.Failure{Reason: "OutOfpods", Message: fmt.Sprintf(
			"Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: %d, capacity: %d", len(r.others), most.Value())}
	}
	requests := resource.PodRequests(pod, resource.PodResourcesOptions{})
	// The cluster or a device driver handles extended resources that the node does not have.
	maps.DeleteFunc(requests, func(name corev1.ResourceName, _ apiresource.Quantity) bool {
		_, here := r.Allocatable[name]
		return !here && extendedresource.Is(name)
	})
	used := r.used()
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		if f := outOf(name, requests, used, r.Allocatable); f != nil {
			return f
		}
	}
	for name := range requests {
		switch name {
		case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
			continue
		}
		if f := outOf(name, requests, used, r.Allocatable); f != nil {
			return f
		}
	}
	return nil
}

func (r *request) used() corev1.ResourceList {
	used := corev1.ResourceList{}
	for _, other := range r.others {
		for name, q := range resource.PodRequests(other, resource.PodResourcesOptions{}) {
			sum := used[name]
			sum.Add(q)
			used[name] = sum
		}
	}
	return used
}

func outOf(name corev1.ResourceName, requests, used, allocatable corev1.ResourceList) *pods.Failure {
	request, have := requests[name], allocatable[name]
	if request.IsZero() {
		return nil
	}
	taken := used[name]
	left := have.DeepCopy()
	left.Sub(taken)
	if request.Cmp(left) <= 0 {
		return nil
	}
	number := func(q interface {
		MilliValue() int64
		Value() int64
	}) int64 {
		if name == corev1.ResourceCPU {
			return q.MilliValue()
		}
		return q.Value()
	}
	return &pods.Failure{Reason: "OutOf" + string(name), Message: fmt.Sprintf(
		"Pod was rejected: Node didn't have enough resource: %s, requested: %d, used: %d, capacity: %d",
		name, number(&request), number(&taken), number(&have))}
}

// portTaken reports whether another pod has one of the pod's host ports.
func (r *request) portTaken() bool {
	type port struct {
		protocol corev1.Protocol
		number   int32
	}
	taken := map[port][]string{}
	each := func(pod *corev1.Pod, fn func(port, string)) {
		for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
			for i := range list {
				for _, p := range list[i].Ports {
					if p.HostPort > 0 {
						fn(port{p.Protocol, p.HostPort}, p.HostIP)
					}
				}
			}
		}
	}
	for _, other := range r.others {
		each(other, func(p port, ip string) { taken[p] = append(taken[p], ip) })
	}
	conflict := false
	each(r.pod, func(p port, ip string) {
		for _, other := range taken[p] {
			conflict = conflict || ip == other || wildcard(ip) || wildcard(other)
		}
	})
	return conflict
}

func wildcard(ip string) bool { return ip == "" || ip == "0.0.0.0" || ip == "::" }
