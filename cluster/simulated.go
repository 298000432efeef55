package cluster

import (
	"fmt"

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
