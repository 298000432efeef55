// Package scheduling validates what a pod asks of the nodes it runs on.
package scheduling
