// Package tokens serves the legacy tokens of ServiceAccounts: Secrets of type
// kubernetes.io/service-account-token, which users create by hand where they
// need a token without an end.
// https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets
//
// It wakes on such Secrets, and on ServiceAccounts that come or go.
//
// Invariants:
//
//  1. A Secret that names an account which exists holds token, ca.crt and
//     namespace; a token that is there stays, ca.crt and namespace are kept right.
//  2. A Secret whose account does not exist, or has another UID than the
//     Secret's annotation, is deleted. Absence is read live: a token is not
//     deleted because a cache is behind.
//  3. No Secret is made for an account that has none.
//
// The API of this package is not stable: see docs/api.md.
package tokens
