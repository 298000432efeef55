// Package rootca publishes the certificate authority that pods verify the API
// server with: the ConfigMap kube-root-ca.crt of every active namespace, which
// every pod's projected service-account volume reads.
//
// It wakes on Namespaces, on changes and deletions of ConfigMaps of that name,
// and when the authority changes.
//
// Invariants:
//
//  1. Every active namespace holds kube-root-ca.crt with exactly one key,
//     ca.crt, equal to the authority; other clients' edits are undone.
//  2. Its annotation kubernetes.io/description is upstream's text; other
//     annotations and labels stay.
//  3. Nothing is written to a terminating namespace, and nothing twice.
//
// The API of this package is not stable: see docs/api.md.
package rootca
