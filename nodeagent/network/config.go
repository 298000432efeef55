package network

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
)

// Config describes the node and its networks. Fields without a default are required.
type Config struct {
	// Prefix distinguishes this cluster from others on the machine: 6 hexadecimal digits.
	Prefix string
	// NodeIndex is 0 for the node in the machine's own namespace, else the
	// node's number on this machine.
	NodeIndex int
	// PodCIDRs are the node's pods' ranges, if they are known before Configure.
	PodCIDRs []string
	// ClusterCIDRs are the pods' ranges of the whole cluster: traffic to them is
	// not masqueraded.
	ClusterCIDRs []string
	// ServiceCIDRs are the Services' ranges. A machine without a default route
	// gets one for them, so that its own packets reach the proxy's rules.
	ServiceCIDRs []string
	// LinkCIDR is the network between the machine and its other nodes. Required
	// for nodes other than 0; node 0 takes an address of it if the machine has
	// none of its own.
	LinkCIDR string
	// NodeIP overrides the address of node 0. Default: that of the machine's
	// default route, else the first of LinkCIDR.
	NodeIP string
	// MTU of pods' and nodes' links in bytes. Default: that of the link of the
	// machine's default route.
	MTU int
	// ConfDir is the directory of the runtime's CNI configuration.
	ConfDir string
	// BinDir holds the CNI plugins. If portmap is among them, pods' hostPorts
	// work. Default: no hostPorts.
	BinDir string
	// DataDir is the directory for the addresses given to pods. It must not survive
	// a boot of the machine. Default: /run/coracle/<Prefix>/n<NodeIndex>/ipam.
	DataDir string
}

// parsed is the Config with its addresses read.
type parsed struct {
	Config
	names
	link     netip.Prefix
	clusters []netip.Prefix
	services []netip.Prefix
}

func (c Config) parse() (*parsed, error) {
	p := &parsed{Config: c, names: names{c.Prefix}}
	var bad []error
	if !validPrefix.MatchString(c.Prefix) {
		bad = append(bad, fmt.Errorf("network.Config.Prefix %q is not 6 hexadecimal digits", c.Prefix))
	}
	if c.NodeIndex < 0 || c.NodeIndex > maxNodes {
		bad = append(bad, fmt.Errorf("network.Config.NodeIndex %d is not in 0..%d", c.NodeIndex, maxNodes))
	}
	if c.ConfDir == "" {
		bad = append(bad, errors.New("network.Config.ConfDir is required"))
	}
	if c.DataDir == "" {
		p.DataDir = filepath.Join("/run/coracle", c.Prefix, fmt.Sprint("n", c.NodeIndex), "ipam")
	}
	var err error
	if c.LinkCIDR != "" {
		if p.link, err = netip.ParsePrefix(c.LinkCIDR); err != nil {
			bad = append(bad, fmt.Errorf("network.Config.LinkCIDR: %w", err))
		}
	} else if c.NodeIndex > 0 {
		bad = append(bad, errors.New("network.Config.LinkCIDR is required for a node in its own namespace"))
	}
	if p.clusters, err = parse4(c.ClusterCIDRs); err != nil {
		bad = append(bad, fmt.Errorf("network.Config.ClusterCIDRs: %w", err))
	}
	if p.services, err = parse4(c.ServiceCIDRs); err != nil {
		bad = append(bad, fmt.Errorf("network.Config.ServiceCIDRs: %w", err))
	}
	return p, errors.Join(bad...)
}

// parse4 reads ranges and keeps the IPv4 ones.
func parse4(cidrs []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range cidrs {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, err
		}
		if p.Addr().Is4() {
			out = append(out, p.Masked())
		}
	}
	return out, nil
}
