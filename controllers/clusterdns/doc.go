// Package clusterdns keeps the Service kube-dns, behind which the nodes' own DNS
// servers are.
//
// It promises:
//
//  1. The Service is made once a node says by an annotation that it answers
//     queries, and has the address that pods were told.
//  2. Each such node has one EndpointSlice, hinted for itself, so that pods ask
//     their own node while it answers and others while it does not.
//  3. A Service kube-dns that selects pods is somebody's own DNS: then there are
//     no endpoints of nodes, and nothing of it is changed.
package clusterdns
