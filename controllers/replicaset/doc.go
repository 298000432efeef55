// Package replicaset keeps the pods of apps/v1 ReplicaSets. What it promises is
// in package replicas, which does the work.
package replicaset
