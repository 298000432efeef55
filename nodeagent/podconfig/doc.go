// Package podconfig translates pods into what the container runtime is told: CRI
// sandbox and container configs, resolver settings, hosts files, cgroup
// parameters. It is pure and builds everywhere; what reaches into the host
// (volumes, environment, image users) comes in as arguments.
package podconfig
