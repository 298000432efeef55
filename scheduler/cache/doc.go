// Package cache is the scheduler's picture of the cluster: nodes with the sum of
// what runs on them, pods assumed to be bound before the API server confirms it,
// and snapshots that one scheduling cycle reads without locks.
//
// Invariants:
//
//  1. Every change of a NodeInfo takes a new, unique and increasing generation,
//     so equal generations mean the same node in the same state.
//  2. UpdateSnapshot copies only nodes whose generation is newer than the
//     snapshot's; a cycle over 1,000 nodes copies the one or two that changed.
//  3. An assumed pod counts on its node until its binding is confirmed by the
//     API (SetPod), is taken back (ForgetPod) or the pod is deleted (RemovePod).
//
// The API of this package is not stable: see docs/api.md.
package cache
