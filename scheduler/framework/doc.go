// Package framework runs scheduling plugins: it holds them by extension point,
// keeps the state of one cycle and collects what they say about each node.
//
// A cycle belongs to one goroutine. Plugins that a PreFilter or PreScore told
// to skip are left out of that cycle's lists once, so that the loops over nodes
// test nothing.
package framework
