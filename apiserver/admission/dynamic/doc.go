// Package dynamic is admission that users configure with objects of
// admissionregistration.k8s.io: webhooks and CEL policies, mutating and validating. See
// https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/,
// https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/ and
// https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/.
//
// Matching, calling and evaluating are k8s.io/apiserver's. This package decides when the
// plugins are made, and supplies their objects:
//
//  1. A plugin without objects costs nothing: it is not even made. At start one
//     count of each kind's keys decides; later the create request for the first
//     object does, which passes admission, too.
//  2. Nothing polls. Configurations are followed by watches of the server's own
//     storages, params are read when a policy is evaluated.
//  3. Everything ends with the context of Run.
//
// The API of this package is not stable: see docs/api.md.
package dynamic
