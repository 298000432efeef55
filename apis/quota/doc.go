// Package quota measures what objects use of a ResourceQuota. The admission
// plugin (which charges a request before it is stored) and the controller
// (which counts what is stored) use the same evaluators, so that they agree.
//
// The rules are those of
// https://kubernetes.io/docs/concepts/policy/resource-quotas/.
//
// The API of this package is not stable: see docs/api.md.
package quota
