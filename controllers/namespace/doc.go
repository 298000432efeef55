// Package namespace empties namespaces that are being deleted and lets them go.
//
// It promises:
//
//  1. Nothing is deleted from a namespace that is not itself being deleted; the
//     deletion timestamp cannot be taken back.
//  2. Pods go first, and nothing else is deleted before the last pod is gone: a
//     pod may need its Secrets, its NetworkPolicies and its claims to end well.
//  3. The finalizer "kubernetes" is removed only after the server itself, and
//     not a cache, showed that no deletable resource has an object left.
//     NamespaceLifecycle admission keeps new ones out from the moment the
//     namespace terminates.
//  4. What cannot be discovered cannot be declared empty: while a group fails
//     discovery, the rest is deleted but the namespace stays.
//  5. It waits for events. The end of each pod wakes it, paced; only for
//     finalizers on other resources, of which no cache exists, it looks again
//     after 25 ms, then ever more seldom, at most every 5 s.
//  6. What still holds the namespace up is in its conditions, in upstream's
//     words.
//
// The API of this package is not stable: see docs/api.md.
package namespace
