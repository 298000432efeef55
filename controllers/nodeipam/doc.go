// Package nodeipam gives every node its ranges of pod addresses, spec.podCIDRs, out of the
// cluster's: one of each family that the cluster has.
// https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager
// (--allocate-node-cidrs, --cluster-cidr, --node-cidr-mask-size)
//
// Invariants:
//
//  1. What a node has already is honoured, wherever it came from, and no other
//     node is given any of it. Nothing is given before all nodes were looked at.
//  2. A node gets a range of every family or none.
//  3. A range is given again only after its node is gone, and only after those
//     that were free for longer.
//  4. What a node that is about to register was promised is given to no other node
//     while it is expected.
//  5. A node for which there is none gets one event about that, and a range when
//     another node goes.
//
// The API of this package is not stable: see docs/api.md.
package nodeipam
