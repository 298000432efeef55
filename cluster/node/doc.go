// Package node runs one real node: it brings up the network, the container runtime, the proxy,
// the DNS server and the agent of a node, and ends them. Real nodes need Linux.
package node
