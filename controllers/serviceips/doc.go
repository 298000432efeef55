// Package serviceips repairs the book of ClusterIPs: the IPAddress objects that
// record which Service has which address. The allocator in the API server keeps it;
// a crash in the middle of a request, or a user's edit, may make it wrong.
//
// It wakes on Services and on IPAddresses; a request with a namespace is a
// Service, one without is an IPAddress.
//
// Invariants:
//
//  1. Every ClusterIP of a Service has an IPAddress that names the Service,
//     unless another Service has the address too: then there is an event only.
//  2. An IPAddress of the allocator whose Service does not have the address goes,
//     after the time that a request may take.
//  3. Each repair is an Event, in upstream's words.
//
// The API of this package is not stable: see docs/api.md.
package serviceips
