// Package leader runs the duties of a cluster: work that one server does for all, such as that
// of the controllers. A server without others does it from its start to its end. Where several
// servers share an etcd, each duty has a Lease, and the server that holds the Lease does the
// duty.
//
// The API of this package is not stable: see docs/api.md.
package leader
