// Package endpointslicemirroring mirrors Endpoints that users write into
// EndpointSlices, which proxies read.
//
// It promises:
//
//  1. Mirrored are the Endpoints of Services without a selector, unless they have
//     the label endpointslice.kubernetes.io/skip-mirror=true or hold a leader's
//     record.
//  2. There is one slice per set of ports and family of addresses, of at most a
//     thousand endpoints of each subset; events report what was left out.
//  3. What slices there should be is a pure function of the Endpoints (plan);
//     a slice that is as it should be is not written.
//  4. Only slices with the label of this controller are touched; they go with the
//     Endpoints, the Service, or its lack of a selector.
//
// The API of this package is not stable: see docs/api.md.
package endpointslicemirroring
