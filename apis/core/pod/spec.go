package pod

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
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

// VisitContainersWithPath calls visit for the same containers as VisitContainers,
// with the place of each below spec.
func VisitContainersWithPath(s *corev1.PodSpec, spec *field.Path, visit func(*field.Path, *corev1.Container)) {
	var list ContainerType
	i := 0
	VisitContainers(s, func(c *corev1.Container, t ContainerType) bool {
		if t != list {
			list, i = t, 0
		}
		visit(spec.Child(string(t)).Index(i), c)
		i++
		return true
	})
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
