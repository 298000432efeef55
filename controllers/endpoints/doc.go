// Package endpoints keeps the legacy Endpoints object of every Service that has a selector.
// EndpointSlices replace it; only old clients still read it, and `kubectl get endpoints`.
//
// It wakes on Services, on Pods whose endpoint changed, and on Endpoints that
// another client changed.
//
// Invariants:
//
//  1. A Service with a selector has Endpoints of its name: ready pods under
//     addresses, others under notReadyAddresses. Ports that the same addresses offer
//     share a subset, and no port of an address is in two. Terminating pods are
//     left out, unless publishNotReadyAddresses.
//  2. At most 1,000 addresses, ready ones first, spread over the subsets; then
//     the annotation endpoints.kubernetes.io/over-capacity is "truncated".
//  3. Labels are those of the Service, service.kubernetes.io/headless, and
//     endpoints.kubernetes.io/managed-by. Other annotations stay.
//  4. When a Service is deleted, the Endpoints of its name are deleted too, those
//     that users wrote among them, unless they are the record of a leader election.
//
// The API of this package is not stable: see docs/api.md.
package endpoints
