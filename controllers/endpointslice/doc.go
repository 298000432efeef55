// Package endpointslice keeps the EndpointSlices of every Service that has a
// selector equal to the pods it selects.
//
// It wakes on Services, on Pods whose endpoint changed (readiness, termination, address,
// labels), on EndpointSlices that another client wrote, and on Nodes whose zone changed.
//
// k8s.io/endpointslice has a Reconciler that does this, but it decides and writes in one
// method, against a typed clientset, hashes every endpoint by printing it and picks endpoints
// in the order of a map. Adapting it would have cost more than the plan here, which is pure,
// ordered, and takes about a tenth of the time for 1,000 endpoints. The pure parts of that
// module are used: the trackers, the topology cache and the hints of trafficDistribution.
//
// Invariants:
//
//  1. Each pod that has an address and has not finished is one endpoint in one
//     slice per address family of its Service, under the ports it resolves to.
//  2. ready = serving and not terminating, or publishNotReadyAddresses;
//     serving is the pod's readiness; terminating its deletion timestamp.
//  3. A pod that stays keeps its place: slices are changed as few as possible,
//     no slice is rebalanced, none holds more than Config.MaxEndpointsPerSlice.
//  4. Only slices labelled as managed by this controller are touched; labels of
//     the Service are mirrored to them.
//  5. No plan is made on a cache that lacks this controller's last writes.
//  6. A Service without pods has one empty slice per address family.
//
// The API of this package is not stable: see docs/api.md.
package endpointslice
