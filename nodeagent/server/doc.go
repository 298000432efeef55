// Package server answers the kubelet's HTTP API: logs, exec, attach and port-forward,
// the list of pods, statistics. The server of the handler authorizes requests.
//
// The API of this package is not stable: see docs/api.md.
package server
