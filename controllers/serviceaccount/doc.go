// Package serviceaccount keeps the ServiceAccounts that every namespace must
// have: pods that name none run as "default", so no pod can be admitted to a
// namespace before its account exists.
//
// It wakes on Namespaces and on the deletion of ServiceAccounts; it never
// lists, and never changes an account that exists.
//
// Invariants:
//
//  1. An active namespace without one of the wanted accounts gets it; a
//     terminating namespace gets nothing.
//  2. An account is only ever created. Labels, secrets and annotations that
//     users put on it stay.
//  3. A namespace that is deleted during the write is not an error.
//
// The legacy tokens of accounts, in Secrets, are the concern of package tokens.
//
// The API of this package is not stable: see docs/api.md.
package serviceaccount
