// Package cgroups keeps the cgroups above containers: one per node, one per QoS
// class and one per pod, on cgroup v1 (also hybrid) and v2.
package cgroups
