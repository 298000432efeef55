package cluster

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/coracle-k8s/coracle/cluster/node"
	"github.com/coracle-k8s/coracle/nodeagent/simulated"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// waitForNodes waits until all nodes of this process are Ready. It calls report whenever their
// number changes.
func (c *controlPlane) waitForNodes(ctx context.Context, objects cache.Cache, report func(ready, want int)) error {
	want := int(*c.config.Nodes + c.config.SimulatedNodes)
	if want == 0 {
		return nil
	}
	// The conditions in their objects may be from an earlier run: they must be up again.
	c.nodes.Await(ctx, int(*c.config.Nodes))
	own := func(n *corev1.Node) bool { return c.ownNode(n.Name) || c.simulates(n.Name) }
	return node.WaitReady(ctx, objects, own, want, func(ready int) { report(ready, want) })
}

// simulates reports whether a simulated node of that name is this process's own.
func (p *plan) simulates(name string) bool {
	number, is := strings.CutPrefix(name, simulated.DefaultNamePrefix)
	n, err := strconv.Atoi(number)
	return is && err == nil && n >= 0 && n < int(p.config.SimulatedNodes)
}

// reportNodes reports each node that becomes ready, until all are.
func (c *controlPlane) reportNodes(ctx context.Context, objects cache.Cache) error {
	err := c.waitForNodes(ctx, objects, func(ready, want int) {
		c.options.progress(fmt.Sprintf("%d of %d nodes ready", ready, want))
	})
	if err != nil && ctx.Err() == nil {
		c.options.logger.Error(err, "Reporting nodes") // they run all the same
	}
	return nil
}

// ownNodes returns the names of this process's real nodes, up or not.
func (p *plan) ownNodes() []string { return node.Names(p.config) }

// ownNode reports whether a real node of that name is this process's own, up or not.
func (p *plan) ownNode(name string) bool { return slices.Contains(p.ownNodes(), name) }
