package pod

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// ContainerType names the list of a pod's spec that a container is in.
type ContainerType string

// The three lists of containers, named as their fields are.
const (
	Containers          ContainerType = "containers"
	InitContainers      ContainerType = "initContainers"
	EphemeralContainers ContainerType = "ephemeralContainers"
)

// VisitContainers calls visit for init, ordinary and ephemeral containers, in
// that order, until visit returns false. It reports whether it came to the end.
func VisitContainers(s *corev1.PodSpec, visit func(*corev1.Container, ContainerType) bool) bool {
	for i := range s.InitContainers {
		if !visit(&s.InitContainers[i], InitContainers) {
			return false
		}
	}
	for i := range s.Containers {
		if !visit(&s.Containers[i], Containers) {
			return false
		}
	}
	for i := range s.EphemeralContainers {
		if !visit((*corev1.Container)(&s.EphemeralContainers[i].EphemeralContainerCommon), EphemeralContainers) {
			return false
		}
	}
	return true
}

// FindContainer returns the container called name and its list, or nil.
func FindContainer(s *corev1.PodSpec, name string) (*corev1.Container, ContainerType) {
	var found *corev1.Container
	var in ContainerType
	VisitContainers(s, func(c *corev1.Container, t ContainerType) bool {
		if c.Name == name {
			found, in = c, t
		}
		return found == nil
	})
	return found, in
}

// IsSidecar reports whether an init container keeps running beside the others:
// its own restart policy is Always.
func IsSidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// HasSidecars reports whether s has an init container that keeps running.
func HasSidecars(s *corev1.PodSpec) bool {
	for i := range s.InitContainers {
		if IsSidecar(&s.InitContainers[i]) {
			return true
		}
	}
	return false
}

// IsHostNetwork reports whether the pod runs in its node's network namespace.
func IsHostNetwork(p *corev1.Pod) bool { return p.Spec.HostNetwork }

// HostPorts returns the ports that the pod wants on its node, of containers and sidecars.
func HostPorts(s *corev1.PodSpec) []corev1.ContainerPort {
	var ports []corev1.ContainerPort
	add := func(c *corev1.Container) {
		for _, p := range c.Ports {
			if p.HostPort > 0 {
				ports = append(ports, p)
			}
		}
	}
	for i := range s.InitContainers {
		if IsSidecar(&s.InitContainers[i]) {
			add(&s.InitContainers[i])
		}
	}
	for i := range s.Containers {
		add(&s.Containers[i])
	}
	return ports
}

// TargetPort finds the number of the port that sp means on p. A port given by
// name is looked for in containers and sidecars, with sp's protocol; it is an
// error if there is no port of that name.
func TargetPort(p *corev1.Pod, sp *corev1.ServicePort) (int32, error) {
	if sp.TargetPort.Type == intstr.Int {
		if sp.TargetPort.IntVal == 0 { // an object that was never defaulted
			return sp.Port, nil
		}
		return sp.TargetPort.IntVal, nil
	}
	name := sp.TargetPort.StrVal
	find := func(c *corev1.Container) int32 {
		for _, cp := range c.Ports {
			if cp.Name == name && cp.Protocol == sp.Protocol {
				return cp.ContainerPort
			}
		}
		return 0
	}
	for i := range p.Spec.Containers {
		if n := find(&p.Spec.Containers[i]); n != 0 {
			return n, nil
		}
	}
	for i := range p.Spec.InitContainers {
		if !IsSidecar(&p.Spec.InitContainers[i]) {
			continue
		}
		if n := find(&p.Spec.InitContainers[i]); n != 0 {
			return n, nil
		}
	}
	return 0, fmt.Errorf("finding port %q (%s) of pod %s/%s: no container has it", name, sp.Protocol, p.Namespace, p.Name)
}
