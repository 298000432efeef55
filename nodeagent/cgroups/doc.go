// Package cgroups keeps the cgroups above containers: one per node, one per QoS
// class and one per pod, on cgroup v1 (also hybrid) and v2.
//
// The API of this package is not stable: see docs/api.md.
package cgroups
