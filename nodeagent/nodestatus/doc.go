// Package nodestatus registers a node, keeps its lease, and publishes what the
// node is (capacity, addresses, versions, images) and how it is (conditions).
//
// The status is written when it changes and every StatusInterval besides; the
// lease is the heartbeat.
//
// The API of this package is not stable: see docs/api.md.
package nodestatus
