// Package clusterdns keeps the Service kube-dns, behind which the nodes' own DNS servers are.
//
// It promises:
//
//  1. The Service is made once a node's annotation states that it answers
//     queries, and has the address that pods are configured with.
//  2. Each such node has one EndpointSlice, hinted for itself, so that pods ask
//     their own node while it answers and others while it does not.
//  3. A Service kube-dns that selects pods is a DNS that the user installed: then
//     there are no endpoints of nodes, and nothing of it is changed.
//
// The API of this package is not stable: see docs/api.md.
package clusterdns
