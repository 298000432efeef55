// Package images brings container images to a node: from archives without any
// registry, from registries as pods ask, and away again when the disk fills.
//
// The API of this package is not stable: see docs/api.md.
package images
