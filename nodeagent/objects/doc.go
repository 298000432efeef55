// Package objects gives a node agent read access to the ConfigMaps and Secrets
// that its own pods name, and to nothing else.
//
// Invariants:
//  1. Least privilege: every request names one object (a metadata.name field
//     selector or a get by name); the node authorizer needs to allow no more.
//  2. One watch per referenced object, whatever the number of pods naming it;
//     it ends when the last of them is unregistered.
//  3. An object marked immutable is read once and not watched.
//  4. Objects handed out are shared: readers must not change them.
//
// The same code serves an agent inside the server's process and one on another
// machine; only the client differs.
//
// The API of this package is not stable: see docs/api.md.
package objects
