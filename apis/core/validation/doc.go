// Package validation validates objects of the core group, with upstream's rules, in its
// order and words. Pods, volumes and what is in them have packages below this one, from
// the leaves up: options, resources and scheduling, container, volume, pods.
//
// The rules are those of pkg/apis/core/validation of Kubernetes.
//
// The API of this package is not stable: see docs/api.md.
package validation
