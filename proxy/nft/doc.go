// Package nft renders Services into one nftables table and keeps the table as
// rendered, writing only what changes.
//
// # The table
//
//	nat-prerouting, nat-output        → services → (maps) → service-, local-, external-, endpoint-
//	nat-postrouting                   → masquerading
//	filter-prerouting                 → firewall-check          (before DNAT)
//	filter-output-before-dnat         → firewall-check          (before DNAT)
//	filter-input, -forward, -output   → no-endpoints-check, cluster-ips-check  (after DNAT)
//
// Dispatch is by verdict maps, so that a packet costs the same with one Service
// and with ten thousand.
//
// # Invariants
//
//  1. A Service's chains, sets and elements are a pure function of its model (a
//     Fragment); the difference of two Fragments is one transaction.
//  2. An endpoint's chain and affinity set live as long as the endpoint, so that
//     clients keep their endpoint while others come and go.
//  3. After a failed transaction nothing is assumed of the table: the next one
//     replaces it as a whole.
//
// The shape follows https://kubernetes.io/blog/2025/02/28/nftables-kube-proxy/
//
// The API of this package is not stable: see docs/api.md.
package nft
