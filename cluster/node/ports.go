package node

import (
	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/coracle-k8s/coracle/apiserver/connections"
)

// OpenPorts makes the pool of the nodes' open ports.
func OpenPorts(c clock.WithTicker, log logr.Logger) (*connections.Pool, error) {
	limits, err := connections.ProcessLimits()
	if err != nil {
		return nil, err
	}
	return connections.New(limits.Open(), c, func(err error) { log.Error(err, "DNS and health checks of Services") }), nil
}
