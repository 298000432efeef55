// Package agent runs one real node as a process of its own: it joins a cluster whose server is
// another process, keeps its membership in a data directory, and renews it.
//
// The API of this package is not stable: see docs/api.md.
package agent
