// Package replication keeps the pods of core/v1 ReplicationControllers. Its promises
// are those of package replicas, which does the work on a ReplicaSet derived from each;
// only the selector, the conditions and the absence of terminatingReplicas differ.
//
// The API of this package is not stable: see docs/api.md.
package replication
