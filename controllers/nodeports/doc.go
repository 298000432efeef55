// Package nodeports reports node ports that are wrong: those that several Services
// have, and those outside the range, as a changed configuration or servers that gave
// out ports at the same time leave them. The allocator in the API server makes neither.
//
// Invariants:
//
//  1. Of several Services with a port the oldest keeps it; all others are reported.
//  2. Each wrong port is one Event in upstream's words, and one count, while it
//     lasts and the process runs.
//
// The API of this package is not stable: see docs/api.md.
package nodeports
