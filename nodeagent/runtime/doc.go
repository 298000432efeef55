// Package runtime talks to a container runtime through CRI: one connection, calls
// with bounded time, and the stream of container events.
package runtime
