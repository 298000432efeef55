package cluster

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/nodeagent/simulated"
)

func (c *Cluster) addSimulatedNodes(mgr manager.Manager) error {
	if c.config.SimulatedNodes == 0 {
		return nil
	}
	nodes, err := simulated.New(simulated.Config{
		Client: mgr.GetClient(), Cache: mgr.GetCache(), Clock: c.options.clock,
		Nodes: int(c.config.SimulatedNodes), Capacity: c.config.Simulation.Capacity, Labels: c.config.Simulation.Labels,
		KubeletVersion: apis.KubernetesVersion,
	})
	if err != nil {
		return err
	}
	if err := mgr.Add(nodes); err != nil {
		return fmt.Errorf("adding simulated nodes: %w", err)
	}
	return nil
}

// podSubnet is the i-th /24 of the pod range.
func podSubnet(podCIDR string, i int) (netip.Prefix, error) {
	all, err := netip.ParsePrefix(podCIDR)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("reading the pod range: %w", err)
	}
	if all.Bits() > 24 || i >= 1<<(24-all.Bits()) {
		return netip.Prefix{}, fmt.Errorf("the pod range %s has no /24 for node %d: set network.podCIDR to a larger one", podCIDR, i)
	}
	b := all.Addr().As4()
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+uint32(i)<<8)
	return netip.PrefixFrom(netip.AddrFrom4(b), 24), nil
}
