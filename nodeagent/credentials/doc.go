// Package credentials gives the pods of a node what signers made for them:
// trust bundles, and certificates for keys that the node makes.
//
// Invariants:
//  1. A private key is in this process's memory and in the tmpfs of its pod's
//     volume, nowhere else. An agent that starts again asks for new certificates.
//  2. A signer that refused is not asked again for the same pod.
//  3. Nothing is watched before a pod needs it. All nodes of a process share the
//     watches of its cache.
//
// The API of this package is not stable: see docs/api.md.
package credentials
