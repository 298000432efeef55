//go:build !linux

package cluster

import (
	"context"
	"errors"
	"syscall"
)

func (c *Cluster) nodeAddress() string { return "" }

// bindEarly changes nothing: addresses are there before the server.
func bindEarly(_, _ string, _ syscall.RawConn) error { return nil }

func (c *Cluster) addNodes(context.Context, *parts) error { return nil }

// RunAgent runs one real node of a cluster whose server is another process.
func RunAgent(context.Context, AgentConfig, ...Option) error {
	return errors.New("agents need Linux")
}
