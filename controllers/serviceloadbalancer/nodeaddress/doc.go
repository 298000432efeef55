// Package nodeaddress is the built-in load balancer: Services of type
// LoadBalancer get the addresses of nodes, where the proxy answers on their
// ports. It costs no process, no port range and no second address.
//
// It is an implementation of k8s.io/cloud-provider's LoadBalancer that keeps
// nothing: what it gave is in the Services' status.
//
// Invariants:
//
//  1. No two Services have the same port of the same address. One that has it keeps
//     it; among those that wait, and should two have it, the older one comes first.
//  2. Ports that the machine itself needs (API server, node agents) are not given.
//  3. With externalTrafficPolicy Local, only nodes with a ready endpoint are
//     given, as long as there is any.
//
// The API of this package is not stable: see docs/api.md.
package nodeaddress
