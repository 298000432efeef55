// Package clustertrustbundle publishes the authorities of a signer as a
// ClusterTrustBundle, for pods to mount:
// https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#cluster-trust-bundles.
//
// It wakes at the start, and on the signer's bundles.
//
// Invariants: 1. one bundle of the signer is there, with the authorities of now,
// its name ends with their hash; 2. other bundles of the signer are deleted, but
// only when that one is there.
//
// The API of this package is not stable: see docs/api.md.
package clustertrustbundle
