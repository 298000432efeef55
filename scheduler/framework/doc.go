// Package framework runs scheduling plugins: it holds them by extension point,
// keeps the state of one cycle and collects their statuses for each node.
//
// A cycle belongs to one goroutine. Plugins whose PreFilter or PreScore returned Skip
// are left out of that cycle's lists once, so that the loops over nodes test nothing.
//
// The API of this package is not stable: see docs/api.md.
package framework
