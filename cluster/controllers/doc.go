// Package controllers lists the controllers of a cluster, and adds them and the scheduler to the
// terms of the server that runs them.
//
// The API of this package is not stable: see docs/api.md.
package controllers
