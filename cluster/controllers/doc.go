// Package controllers lists the controllers of a cluster and adds them to the term of the
// server that runs them.
package controllers
