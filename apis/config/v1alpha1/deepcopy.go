package v1alpha1

import (
	"maps"
	"slices"
)

// DeepCopy returns a copy that shares nothing with c.
func (c *Cluster) DeepCopy() *Cluster {
	out := *c
	c.APIServer.deepCopyInto(&out.APIServer)
	out.FeatureGates = maps.Clone(c.FeatureGates)
	out.ExtraNames = slices.Clone(c.ExtraNames)
	if c.Nodes != nil {
		nodes := *c.Nodes
		out.Nodes = &nodes
	}
	if c.LeaderElection.LeaderElect != nil {
		elect := *c.LeaderElection.LeaderElect
		out.LeaderElection.LeaderElect = &elect
	}
	out.Controllers.Enabled = slices.Clone(c.Controllers.Enabled)
	if c.Scheduler.Enabled != nil {
		enabled := *c.Scheduler.Enabled
		out.Scheduler.Enabled = &enabled
	}
	out.Storage.Endpoints = slices.Clone(c.Storage.Endpoints)
	out.Agents.Proxies = slices.Clone(c.Agents.Proxies)
	out.Network.ClusterDNS = slices.Clone(c.Network.ClusterDNS)
	out.Node.Labels = maps.Clone(c.Node.Labels)
	out.Node.Taints = slices.Clone(c.Node.Taints)
	for i := range out.Node.Taints {
		c.Node.Taints[i].DeepCopyInto(&out.Node.Taints[i])
	}
	out.Node.AllowedUnsafeSysctls = slices.Clone(c.Node.AllowedUnsafeSysctls)
	out.Node.SystemReserved = c.Node.SystemReserved.DeepCopy()
	if c.Node.ContainerLogMaxSize != nil {
		size := c.Node.ContainerLogMaxSize.DeepCopy()
		out.Node.ContainerLogMaxSize = &size
	}
	out.Simulation.Capacity = c.Simulation.Capacity.DeepCopy()
	out.Simulation.Labels = maps.Clone(c.Simulation.Labels)
	return &out
}
