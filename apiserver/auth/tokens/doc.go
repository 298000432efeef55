// Package tokens issues and checks the tokens of service accounts: the bound
// tokens of the TokenRequest API, which end with the pod, secret or node they
// name, and the old ones kept in Secrets. It also serves the OIDC discovery
// documents by which others check them.
//
// See https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
// and https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/.
//
// The API of this package is not stable: see docs/api.md.
package tokens
