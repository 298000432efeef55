// Package podgc removes pods that no other component will: finished ones beyond a
// threshold, those bound to a node that is gone, those that were deleted before they
// got a node, and those terminating on a node that was declared out of service.
//
// It promises:
//
//  1. A pod is called orphaned only 40 s after its node was first missed, and
//     only if a read from the server itself finds no such node.
//  2. A pod that had not finished is marked Failed before it is deleted, so that
//     its controller counts it; an orphan also gets the DisruptionTarget
//     condition, which Jobs' pod failure policies look at.
//  3. Deletions are without grace and for the UID that was looked at.
//  4. An idle cluster is not scanned: only events that can give it work wake it,
//     and the end of a node's quarantine.
//
// The API of this package is not stable: see docs/api.md.
package podgc
