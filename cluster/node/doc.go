// Package node runs one real node: it brings up the network, the container runtime, the proxy,
// the DNS server and the agent of a node, and ends them. Real nodes need Linux.
//
// The API of this package is not stable: see docs/api.md.
package node
