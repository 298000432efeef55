package model

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Node is the point of view.
type Node struct {
	// Name decides which endpoints are local.
	Name string
	// Zone is the node's topology.kubernetes.io/zone, or empty.
	Zone string
}

// Service is one Service of one address family, ready to be rendered.
type Service struct {
	Name types.NamespacedName
	// HealthCheckNodePort answers with LocalReady if it is not 0.
	HealthCheckNodePort int32
	// LocalReady counts the ready endpoints on this node.
	LocalReady int
	Ports      []Port
}

// Port is one port of a Service.
//
// Invariants: addresses are valid and of one family; Cluster and Local are
// sorted and without duplicates.
type Port struct {
	Name     string
	Protocol corev1.Protocol
	Port     uint16
	NodePort uint16 // 0: none

	ClusterIP       netip.Addr
	ExternalIPs     []netip.Addr
	LoadBalancerIPs []netip.Addr
	// SourceRanges limit the clients of LoadBalancerIPs; empty allows all.
	SourceRanges []netip.Prefix

	// AffinitySeconds keeps a client on its endpoint this long after its last
	// connection; 0 is no affinity.
	AffinitySeconds int32
	// InternalLocal and ExternalLocal are the traffic policies.
	InternalLocal, ExternalLocal bool

	// Cluster serves traffic of policy Cluster, Local that of policy Local.
	Cluster, Local []netip.AddrPort
	// Serving are all endpoints whose connections may go on, chosen or not.
	Serving []netip.AddrPort
}

// External reports whether the port is reachable at anything but its ClusterIP.
func (p *Port) External() bool {
	return p.NodePort != 0 || len(p.ExternalIPs) > 0 || len(p.LoadBalancerIPs) > 0
}

// endpoint is one address and port of a slice.
type endpoint struct {
	addr                        netip.AddrPort
	ready, serving, terminating bool
	local                       bool
	zoneHints                   []discoveryv1.ForZone
	nodeHints                   []discoveryv1.ForNode
}
