// Package runtime talks to a container runtime through CRI: one connection, calls
// with bounded time, and the stream of container events.
//
// The API of this package is not stable: see docs/api.md.
package runtime
