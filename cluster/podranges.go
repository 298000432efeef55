package cluster

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/controllers/nodeipam"
	"github.com/coracle-k8s/coracle/nodeagent/simulated"
)

// podRange returns the range that nodes' ranges are taken from.
func podRange(n v1alpha1.Network) (nodeipam.Range, error) {
	all, err := netip.ParsePrefix(n.PodCIDR)
	if err != nil {
		return nodeipam.Range{}, fmt.Errorf("reading the pod range: %w", err)
	}
	return nodeipam.Range{Cluster: all, NodeMask: int(n.NodeCIDRMaskSize)}, nil
}

// podSubnet returns the range of the i-th of this process's own nodes.
func podSubnet(n v1alpha1.Network, i int) (netip.Prefix, error) {
	all, err := podRange(n)
	if err != nil {
		return netip.Prefix{}, err
	}
	return all.Subnet(i)
}

// newPodRanges keeps the first ranges for this process's own nodes, which need
// theirs before they are registered.
func newPodRanges(config *v1alpha1.Cluster) (*nodeipam.Ranges, error) {
	all, err := podRange(config.Network)
	if err != nil {
		return nil, err
	}
	own := map[string][]netip.Prefix{}
	for i := range int(*config.Nodes) {
		subnet, err := all.Subnet(i)
		if err != nil {
			return nil, err
		}
		own[fmt.Sprint(i)] = []netip.Prefix{subnet}
	}
	return nodeipam.NewRanges(own, all)
}

func (c *Cluster) nodeIPAM(mgr manager.Manager) setup {
	return nodeipam.New(nodeipam.Config{
		Client: mgr.GetClient(), Recorder: mgr.GetEventRecorderFor("cidrAllocator"), Ranges: c.podRanges, Expect: c.expectJoined,
		// There may be thousands of simulated nodes, whose pods need no range.
		Optional: func(n *corev1.Node) bool { return n.Labels[simulated.Label] != "" },
	})
}

// expectJoined makes the ranges known that agents were given which have not
// registered yet. Those given by this process are known already, but for those
// from before it started.
func (c *Cluster) expectJoined(ctx context.Context) error {
	c.joining.Lock()
	defer c.joining.Unlock()
	if c.joinedBefore && !*c.config.LeaderElection.LeaderElect {
		return nil
	}
	ledger, _, err := c.readLedger(ctx)
	if err != nil {
		return err
	}
	c.podRanges.Expect(ledger.Ranges())
	c.joinedBefore = true
	return nil
}
