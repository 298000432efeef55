// Package replicaset keeps the pods of apps/v1 ReplicaSets. Its promises are
// those of package replicas, which does the work.
//
// The API of this package is not stable: see docs/api.md.
package replicaset
