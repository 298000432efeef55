// Package nodestatus registers a node, keeps its lease, and publishes what the
// node is (capacity, addresses, versions, images) and how it is (conditions).
//
// The status is written when it changes and every StatusInterval besides; the
// lease is the heartbeat.
package nodestatus
