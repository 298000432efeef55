// Package bootstrap serves machines that join a cluster by a bootstrap token:
// it signs the public cluster-info with every token that may, and deletes tokens
// that have expired.
//
// It promises:
//
//  1. The ConfigMap cluster-info in kube-public has one signature per bootstrap
//     token whose usage-bootstrap-signing is true and that has not expired, and
//     none of others.
//  2. It is never created here, and its contents are not touched.
//  3. A token Secret is deleted when its expiration has come, by its UID.
//
// https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
//
// The API of this package is not stable: see docs/api.md.
package bootstrap
