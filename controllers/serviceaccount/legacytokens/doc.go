// Package legacytokens ends the tokens in Secrets that Kubernetes before 1.24
// made for every ServiceAccount and that nobody uses any more:
// https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#legacy-serviceaccount-token-cleaner.
//
// The Tracker keeps the ConfigMap that says since when uses are noted; the API
// server notes them, once a day, in a label of the Secret. The Cleaner looks at
// each token Secret when it starts and each day.
//
// Invariants:
//
//  1. A Secret that no ServiceAccount lists under secrets was made by hand, and
//     is left alone; so is one that a pod refers to.
//  2. Nothing ends before uses have been noted for the whole period.
//  3. A token that was not used for a period is marked invalid, and deleted if
//     it was neither used nor let in again for another one.
//  4. Who takes the mark away has a day to use the token: changes of a Secret do
//     not wake the Cleaner.
package legacytokens
