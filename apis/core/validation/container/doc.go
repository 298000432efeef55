// Package container validates the containers of a pod, and what of the pod depends on them.
package container
