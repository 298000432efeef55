package model

import (
	"net/netip"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// choose sets the port's endpoint lists.
//
//   - Cluster: the ready ones, those near the node if hints say so; if none is
//     ready, those that still serve while they terminate.
//   - Local: the same of those on this node, without hints.
//
// Contract: https://kubernetes.io/docs/reference/networking/virtual-ips/#traffic-policies
func (p *Port) choose(all []endpoint, node Node) {
	p.Cluster = addresses(preferred(all, node))
	p.Local = addresses(usable(all, func(e endpoint) bool { return e.local }))
	for _, e := range all {
		if e.ready || e.serving {
			p.Serving = append(p.Serving, e.addr)
		}
	}
}

// usable returns the ready endpoints that match, or failing those the serving
// terminating ones.
func usable(all []endpoint, match func(endpoint) bool) []endpoint {
	var ready, draining []endpoint
	for _, e := range all {
		switch {
		case !match(e):
		case e.ready:
			ready = append(ready, e)
		case e.serving && e.terminating:
			draining = append(draining, e)
		}
	}
	if len(ready) > 0 {
		return ready
	}
	return draining
}

// preferred applies topology hints. They count only if every ready endpoint has one of the kind
// (else they are being changed) and at least one is for this node or its zone.
//
// Contract: https://kubernetes.io/docs/concepts/services-networking/topology-aware-routing/#safeguards
func preferred(all []endpoint, node Node) []endpoint {
	forNode := func(e endpoint) bool {
		return slices.ContainsFunc(e.nodeHints, func(h discoveryv1.ForNode) bool { return h.Name == node.Name })
	}
	forZone := func(e endpoint) bool {
		return slices.ContainsFunc(e.zoneHints, func(h discoveryv1.ForZone) bool { return h.Name == node.Zone })
	}
	everyNode, someNode, everyZone, someZone := true, false, true, false
	for _, e := range all {
		if !e.ready {
			continue
		}
		everyNode = everyNode && len(e.nodeHints) > 0
		someNode = someNode || forNode(e)
		everyZone = everyZone && len(e.zoneHints) > 0
		someZone = someZone || forZone(e)
	}
	switch {
	case everyNode && someNode:
		return usable(all, func(e endpoint) bool { return !e.ready || forNode(e) })
	case everyZone && someZone && node.Zone != "":
		return usable(all, func(e endpoint) bool { return !e.ready || forZone(e) })
	}
	return usable(all, func(endpoint) bool { return true })
}

func addresses(endpoints []endpoint) []netip.AddrPort {
	out := make([]netip.AddrPort, len(endpoints))
	for i, e := range endpoints {
		out[i] = e.addr
	}
	return out
}
