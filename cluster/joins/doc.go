// Package joins decides which agents become nodes of a cluster.
//
// Plan is pure: it gets the request, the requester and the state of the cluster, and
// returns the ledger as it is to be written, or a Refusal. All servers of a cluster
// keep one ledger, in a ConfigMap that they write only over the version they read.
//
// Invariants:
//
//  1. A name that has a Node object is granted only to a requester that
//     shows a client certificate of that node.
//  2. A name without one is reserved for one key at a time, for Bound after the
//     last time it was granted; so of two agents that ask for a new name, one
//     gets it.
//  3. A granted address is the one that the requester's connection comes from, or
//     both are this machine's. Only a connection from a configured proxy is
//     excepted, and it names no server's and no other node's address.
//  4. No name and no address of a server or of a Service is granted.
//  5. A token is good for Burst joins at once and one more every Refill, and all
//     tokens together for AllBurst and AllRefill, on all servers together. What is
//     refused costs nothing.
//
// The API of this package is not stable: see docs/api.md.
package joins
