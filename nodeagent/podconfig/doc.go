// Package podconfig translates pods into requests to the container runtime: CRI
// sandbox and container configs, resolver settings, hosts files, cgroup
// parameters. It is pure and builds everywhere; what reaches into the host
// (volumes, environment, image users) comes in as arguments.
//
// The API of this package is not stable: see docs/api.md.
package podconfig
