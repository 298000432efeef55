// Package probes checks containers (startup, liveness, readiness; by exec, HTTP,
// TCP or gRPC) and runs their lifecycle hooks.
//
// A probe keeps its period by a timer of its own. One thing differs from the
// kubelet, to the benefit of a pod's first readiness: a network probe without
// initial delay that fails right after its container started is tried again soon,
// with growing pauses and without counting as a failure, until its first period
// is over.
//
// The API of this package is not stable: see docs/api.md.
package probes
