// Package network makes the pod network of one node on a machine that may hold
// several nodes and several clusters.
//
//	machine                                    node 1, 2, … (own namespace)
//	 eth0 ── outside                            coracle-<prefix>-n1
//	 cr<prefix>-link ─ veth cr<prefix>-v1 ─────── eth0, default route → machine
//	 cr<prefix>-p0 ─ pods of node 0              cr<prefix>-p1 ─ pods of node 1
//
// Node 0 lives in the machine's own namespace and has its address; every other
// node has a namespace of its own and an address on the link network. The
// machine routes every other node's pod range to it.
//
// # Decisions
//
//   - Pods hang on a bridge by the bridge plugin. The answers of a pod to another
//     of the same node must pass the node, which translates Service addresses
//     back. Without br_netfilter the ports are isolated and the bridge answers ARP
//     for all pods (proxy_arp_pvlan), so that all traffic is routed. Where
//     br_netfilter is on (the machine's namespace, if other software wants it),
//     it translates while bridging, which isolation would break and which needs
//     hairpin mode for a pod that reaches itself. Nodes in namespaces of their own
//     always take the first way.
//   - ipMasq of the plugin is off: one nftables rule per node masquerades what
//     pods send out of the cluster. Service traffic is the proxy's.
//
// # Invariants
//
//  1. Setup and Configure are idempotent and complete what is half done.
//  2. Everything has the cluster's prefix in its name; Cleanup finds it by that
//     alone and returns what it removed.
//  3. In the machine's namespace only forwarding is switched on; no other sysctl
//     of interfaces that are not the cluster's is touched.
//
// The API of this package is not stable: see docs/api.md.
package network
