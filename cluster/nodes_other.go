//go:build !linux

package cluster

import (
	"context"
	"errors"
	"syscall"
)

// checkNodes says what this system lacks for real nodes.
func (c *Cluster) checkNodes() error {
	if *c.config.Nodes > 0 {
		return errors.New("real nodes need Linux; run with --nodes 0 --simulated-nodes 1")
	}
	return nil
}

func (c *Cluster) nodeAddress() string { return "" }

// bindEarly changes nothing: addresses are there before the server.
func bindEarly(_, _ string, _ syscall.RawConn) error { return nil }

func (c *Cluster) addNodes(context.Context, *parts) error { return nil }

// RunAgent runs one real node of a cluster whose server is another process.
func RunAgent(context.Context, AgentConfig, ...Option) error {
	return errors.New("agents need Linux")
}

// removeFromHost has nothing to do: there are no real nodes.
func removeFromHost(context.Context, string, func(string)) error { return nil }
