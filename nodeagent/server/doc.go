// Package server answers what the kubelet answers over HTTP: logs, exec, attach
// and port-forward, the list of pods, statistics. Who may ask is decided by who
// serves the handler.
package server
