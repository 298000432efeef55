// Package legacytokens ends the tokens in Secrets that Kubernetes before 1.24 made for every
// ServiceAccount and that are not used any more:
// https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#legacy-serviceaccount-token-cleaner.
//
// The Tracker keeps the ConfigMap with the day since which uses are recorded; the API server
// records them, once a day, in a label of the Secret. The Cleaner looks at each token Secret when
// it starts and each day.
//
// Invariants:
//
//  1. A Secret that no ServiceAccount lists under secrets was made by hand, and
//     is left alone; so is one that a pod refers to.
//  2. Nothing ends before uses have been recorded for the whole period.
//  3. A token that was not used for a period is marked invalid, and deleted if
//     it was neither used nor made valid again for another one.
//  4. A user who removes the mark has a day to use the token: changes of a Secret
//     do not wake the Cleaner.
//
// The API of this package is not stable: see docs/api.md.
package legacytokens
