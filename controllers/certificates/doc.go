// Package certificates decides about CertificateSigningRequests of the cluster's own
// signers, and deletes old requests. Three reconcilers share the watch:
//
//   - Approver approves what agents request for themselves, when the requester may
//     create certificatesigningrequests/nodeclient or /selfnodeclient, now or
//     by the time the Approver asks again;
//   - Signer signs approved requests with the cluster's authority;
//   - Cleaner deletes old CertificateSigningRequests and PodCertificateRequests.
//
// Invariants:
//
//  1. Only requests that fit their signer are signed; others get the condition
//     Failed and are never looked at again.
//  2. A certificate outlives neither what was asked for nor its authority.
//  3. A request is deleted at its deadline by a timer of its own; nothing polls.
//
// See https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/.
//
// The API of this package is not stable: see docs/api.md.
package certificates
