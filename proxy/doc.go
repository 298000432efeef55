// Package proxy makes Services reachable from one node: it follows Services and
// EndpointSlices and keeps one nftables table (proxy/nft) at what proxy/model
// decides.
//
// # Invariants
//
//  1. Event-driven: nothing is written without a change. Changes within
//     Config.MinSyncInterval become one transaction.
//  2. A transaction holds what changed; the whole table is written at the first
//     sync and after a failed one only.
//  3. Nothing is written before Services and EndpointSlices are known whole, so
//     that a restart does not take working Services away.
//  4. Start leaves the table in place: connections outlive the proxy. Cleanup
//     removes it.
//
// The API of this package is not stable: see docs/api.md.
package proxy
