// Package clusterroleaggregation gives cluster roles with an aggregation rule
// the rules of the roles that it selects:
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles.
//
// It wakes on every change of a ClusterRole, for all that aggregate: they are
// few, and which of them a label touches would cost more to find out.
//
// Invariants:
//
//  1. The rules of an aggregated role are those of the selected roles, in the
//     order of the selectors and then of names, each once; what others wrote
//     there is overruled.
//  2. A role without an aggregation rule is never written, none twice.
//
// The API of this package is not stable: see docs/api.md.
package clusterroleaggregation
