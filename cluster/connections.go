package cluster

import (
	"github.com/coracle-k8s/coracle/apiserver/connections"
)

// connections makes the pool of a listener of this process.
func (o *options) connections(l connections.Limits, of string) *connections.Pool {
	return connections.New(l, o.clock, func(err error) { o.logger.Error(err, of) })
}

// openPorts makes the pool of the nodes' open ports.
func (o *options) openPorts() (*connections.Pool, error) {
	limits, err := connections.ProcessLimits()
	if err != nil {
		return nil, err
	}
	return o.connections(limits.Open(), "DNS and health checks of Services"), nil
}
