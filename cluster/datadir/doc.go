// Package datadir holds what a cluster or an agent keeps in its data directory: the lock, which
// one process has at a time, the space that etcd needs, and the way to remove all of it.
//
// The API of this package is not stable: see docs/api.md.
package datadir
