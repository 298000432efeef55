// Package containerd runs a containerd of the node's own: it writes its config,
// starts it, waits until it answers and watches over it. A containerd that an
// earlier agent left running is adopted, with everything in it.
//
// The API of this package is not stable: see docs/api.md.
package containerd
