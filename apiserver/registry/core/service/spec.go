package service

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// hasAddress reports whether Services of its type have a ClusterIP, which may be
// None.
func hasAddress(s *corev1.Service) bool {
	return s.Spec.Type != corev1.ServiceTypeExternalName
}

func headless(s *corev1.Service) bool { return s.Spec.ClusterIP == corev1.ClusterIPNone }

func mayHaveNodePorts(s *corev1.Service) bool {
	return s.Spec.Type == corev1.ServiceTypeNodePort || s.Spec.Type == corev1.ServiceTypeLoadBalancer
}

// needsNodePorts reports whether ports get a node port without asking.
func needsNodePorts(s *corev1.Service) bool {
	return s.Spec.Type == corev1.ServiceTypeNodePort ||
		s.Spec.Type == corev1.ServiceTypeLoadBalancer && ptr.Deref(s.Spec.AllocateLoadBalancerNodePorts, true)
}

func needsHealthCheckPort(s *corev1.Service) bool {
	return s.Spec.Type == corev1.ServiceTypeLoadBalancer && s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}

func externallyAccessible(s *corev1.Service) bool {
	return mayHaveNodePorts(s) || s.Spec.Type == corev1.ServiceTypeClusterIP && len(s.Spec.ExternalIPs) > 0
}

// clusterIPs returns the ClusterIPs that a Service occupies.
func clusterIPs(s *corev1.Service) []string {
	if !hasAddress(s) || headless(s) {
		return nil
	}
	ips := s.Spec.ClusterIPs
	if len(ips) == 0 && s.Spec.ClusterIP != "" {
		ips = []string{s.Spec.ClusterIP}
	}
	return ips
}

// nodePorts returns the node ports that a Service occupies, each once, the
// health check's among them.
func nodePorts(s *corev1.Service) []int32 {
	var ports []int32
	add := func(port int32) {
		if port != 0 && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	for i := range s.Spec.Ports {
		add(s.Spec.Ports[i].NodePort)
	}
	add(s.Spec.HealthCheckNodePort)
	return ports
}

// syncClusterIPs keeps clusterIP and clusterIPs in agreement for clients that set only
// the one or the other; old is nil at creation. Validation refuses contradictions.
func syncClusterIPs(s, old *corev1.Service) {
	switch {
	case old == nil:
		if s.Spec.ClusterIP != "" && len(s.Spec.ClusterIPs) == 0 {
			s.Spec.ClusterIPs = []string{s.Spec.ClusterIP}
		}
	case s.Spec.ClusterIP != old.Spec.ClusterIP:
		same := slices.Equal(s.Spec.ClusterIPs, old.Spec.ClusterIPs)
		switch {
		case old.Spec.ClusterIP == "" && s.Spec.ClusterIP != "" && len(s.Spec.ClusterIPs) == 0:
			s.Spec.ClusterIPs = []string{s.Spec.ClusterIP}
		case s.Spec.ClusterIP == "" && same:
			s.Spec.ClusterIPs = nil
		case same && len(s.Spec.ClusterIPs) > 0:
			s.Spec.ClusterIPs = append([]string{s.Spec.ClusterIP}, s.Spec.ClusterIPs[1:]...)
		}
	}
}

// dropForType clears what a Service of the new type cannot have, if the user
// left it as it was: changing the type alone must be enough.
func dropForType(s, old *corev1.Service) {
	if hasAddress(old) && !hasAddress(s) {
		if s.Spec.ClusterIP == old.Spec.ClusterIP && slices.Equal(s.Spec.ClusterIPs, old.Spec.ClusterIPs) {
			s.Spec.ClusterIP, s.Spec.ClusterIPs = "", nil
		}
		if slices.Equal(s.Spec.IPFamilies, old.Spec.IPFamilies) {
			s.Spec.IPFamilies = nil
		}
		if ptr.Equal(s.Spec.IPFamilyPolicy, old.Spec.IPFamilyPolicy) {
			s.Spec.IPFamilyPolicy = nil
		}
	}
	if mayHaveNodePorts(old) && !mayHaveNodePorts(s) && sameNodePorts(s, old) {
		for i := range s.Spec.Ports {
			s.Spec.Ports[i].NodePort = 0
		}
	}
	if needsHealthCheckPort(old) && !needsHealthCheckPort(s) && s.Spec.HealthCheckNodePort == old.Spec.HealthCheckNodePort {
		s.Spec.HealthCheckNodePort = 0
	}
	if old.Spec.Type == corev1.ServiceTypeLoadBalancer && s.Spec.Type != corev1.ServiceTypeLoadBalancer {
		if ptr.Equal(s.Spec.AllocateLoadBalancerNodePorts, old.Spec.AllocateLoadBalancerNodePorts) {
			s.Spec.AllocateLoadBalancerNodePorts = nil
		}
		if ptr.Equal(s.Spec.LoadBalancerClass, old.Spec.LoadBalancerClass) {
			s.Spec.LoadBalancerClass = nil
		}
	}
	if externallyAccessible(old) && !externallyAccessible(s) && s.Spec.ExternalTrafficPolicy == old.Spec.ExternalTrafficPolicy {
		s.Spec.ExternalTrafficPolicy = ""
	}
}

// dropLoadBalancer clears the status of a Service that no longer is of the type.
// The load balancer itself is taken back later, which users need not see.
func dropLoadBalancer(_ context.Context, s, _ *corev1.Service) {
	if s.Spec.Type != corev1.ServiceTypeLoadBalancer {
		s.Status.LoadBalancer = corev1.LoadBalancerStatus{}
	}
}

// sameNodePorts reports whether s has no other node ports than old.
func sameNodePorts(s, old *corev1.Service) bool {
	var was []int32
	for i := range old.Spec.Ports {
		was = append(was, old.Spec.Ports[i].NodePort)
	}
	for i := range s.Spec.Ports {
		if port := s.Spec.Ports[i].NodePort; port != 0 && !slices.Contains(was, port) {
			return false
		}
	}
	return true
}

// keepAllocated fills what was allocated before and the update leaves out, so
// that a manifest without these fields can be applied again.
func keepAllocated(s, old *corev1.Service) {
	if hasAddress(old) && hasAddress(s) {
		if s.Spec.ClusterIP == "" {
			s.Spec.ClusterIP = old.Spec.ClusterIP
		}
		if len(s.Spec.ClusterIPs) == 0 {
			s.Spec.ClusterIPs = slices.Clone(old.Spec.ClusterIPs)
		}
	}
	if needsNodePorts(old) && needsNodePorts(s) {
		keepNodePorts(s, old)
	}
	if needsHealthCheckPort(old) && needsHealthCheckPort(s) && s.Spec.HealthCheckNodePort == 0 {
		s.Spec.HealthCheckNodePort = old.Spec.HealthCheckNodePort
	}
}

// keepNodePorts matches ports by their names: everything else of one may change.
func keepNodePorts(s, old *corev1.Service) {
	was, kept := map[string]int32{}, map[int32]bool{}
	for _, p := range old.Spec.Ports {
		was[p.Name] = p.NodePort
		kept[p.NodePort] = slices.ContainsFunc(s.Spec.Ports, func(n corev1.ServicePort) bool { return n.NodePort == p.NodePort })
	}
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		if port := was[p.Name]; p.NodePort == 0 && !kept[port] {
			p.NodePort = port
		}
	}
}
