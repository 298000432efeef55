// Package dns answers pods' DNS queries on a node: names of Services and of
// their endpoints from the node's cache, everything else by the node's own
// resolvers.
//
// It promises:
//
//  1. Records are those of Kubernetes' DNS specification, version 1.1.0
//     (https://github.com/kubernetes/dns/blob/master/docs/specification.md), and
//     records of pods by their addresses, as CoreDNS has them by default.
//  2. An answer is as fresh as the cache, which the node's proxy follows, too:
//     a name never leads to a Service that the proxy has not heard of.
//  3. A name of the cluster's domain is never asked of others.
//
// CoreDNS' own kubernetes plugin keeps a client and caches of its own; here they
// are shared. Messages and sockets are github.com/miekg/dns, as in CoreDNS.
//
// The API of this package is not stable: see docs/api.md.
package dns
