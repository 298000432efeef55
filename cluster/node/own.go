package node

import (
	"fmt"
	"net/netip"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster/host"
	"github.com/coracle-k8s/coracle/controllers/nodeipam"
)

// Names returns the names of the real nodes that a configuration has the process run.
func Names(config *v1alpha1.Cluster) []string {
	var names []string
	for i := range int(*config.Nodes) {
		if own, err := NameOf(config.Node.Name, i); err == nil {
			names = append(names, own)
		}
	}
	return names
}

// NameOf returns the name of the i-th of a process's real nodes, given
// that of the first, if any.
func NameOf(given string, i int) (string, error) {
	name, err := host.NodeName(given)
	if err != nil || i == 0 {
		return name, err
	}
	return fmt.Sprintf("%s-%d", name, i), nil
}

// podRange returns the range that nodes' ranges are taken from.
func podRange(n v1alpha1.Network) (nodeipam.Range, error) {
	all, err := netip.ParsePrefix(n.PodCIDR)
	if err != nil {
		return nodeipam.Range{}, fmt.Errorf("reading the pod range: %w", err)
	}
	return nodeipam.Range{Cluster: all, NodeMask: int(n.NodeCIDRMaskSize)}, nil
}

// PodSubnet returns the range of the i-th of this process's own nodes.
func PodSubnet(n v1alpha1.Network, i int) (netip.Prefix, error) {
	all, err := podRange(n)
	if err != nil {
		return netip.Prefix{}, err
	}
	return all.Subnet(i)
}

// NewPodRanges keeps the first ranges for this process's own nodes, which need
// theirs before they are registered.
func NewPodRanges(config *v1alpha1.Cluster) (*nodeipam.Ranges, error) {
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
