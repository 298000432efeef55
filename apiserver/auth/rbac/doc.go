// Package rbac decides requests by the rbac.authorization.k8s.io roles and bindings, as
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/ describes.
//
//   - Authorizer and Resolver answer from a Source, normally a Live one.
//   - EscalationChecker is for the registry of roles and bindings: users grant
//     only permissions that they hold.
//   - ClusterRoles, ClusterRoleBindings, Roles and RoleBindings are Kubernetes'
//     default policy; Reconcile writes it.
//
// Invariants:
//
//  1. RBAC never denies: it allows or has no opinion.
//  2. Until Reconcile has run, a default role or binding that the store lacks
//     counts as if it were there: reconciling is about to create it, so a
//     server may be ready before it has written its policy.
//
// The API of this package is not stable: see docs/api.md.
package rbac
