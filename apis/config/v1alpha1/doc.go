// Package v1alpha1 is the configuration of a Coracle cluster.
//
// A file holds one Cluster; every field may be left out. See
// config/samples/cluster.yaml for all of them with their defaults, and
// docs/configuration.md for what they mean.
//
// +k8s:deepcopy-gen=package
package v1alpha1
