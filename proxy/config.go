//go:build linux

package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/knftables"

	"github.com/coracle-k8s/coracle/proxy/nft"
)

// DefaultMinSyncInterval is short enough not to be noticed and long enough to
// join what a rollout does at once.
const DefaultMinSyncInterval = 10 * time.Millisecond

// Config holds the dependencies and settings of a Proxier. Fields without a
// default are required.
type Config struct {
	// NodeName is the node whose endpoints are local and whose zone counts.
	NodeName string
	// NodeIPs answer on node ports. Those of the other family are ignored.
	NodeIPs []string
	// ClusterCIDRs are the pods' ranges, of the whole cluster.
	ClusterCIDRs []string
	// Family is the one family served. Default: IPv4. For dual stack run two.
	Family corev1.IPFamily
	// Cache has Services, EndpointSlices and Nodes.
	Cache cache.Cache
	// NFT writes the table; it is bound to the table's family and name and, for a
	// node in a network namespace of its own, runs in there. See TableName.
	NFT knftables.Interface
	// Conntrack forgets stale UDP flows. Default: they are left to time out.
	Conntrack Conntrack
	// Listen opens the sockets of health check node ports, in the node's network
	// namespace. Default: net.Listen.
	Listen func(network, address string) (net.Listener, error)
	// Clock times coalescing and retries. Default: the real clock.
	Clock clock.WithTicker
	// MinSyncInterval is the least time between two transactions. Default:
	// DefaultMinSyncInterval.
	MinSyncInterval time.Duration
	// Log takes failures. Default: nothing is logged.
	Log logr.Logger
	// Metrics registers the proxy's metrics, which have upstream's names.
	// Default: they are not registered.
	Metrics prometheus.Registerer
}

// TableName returns the name of the table of a cluster's node. Each has its
// own, so that several can share a host.
func TableName(clusterID string) string { return "coracle-" + clusterID }

// complete fills in defaults and parses addresses.
func (c Config) complete() (Config, nft.Config, error) {
	var missing []error
	need := func(ok bool, field string) {
		if !ok {
			missing = append(missing, fmt.Errorf("proxy.Config.%s is required", field))
		}
	}
	need(c.NodeName != "", "NodeName")
	need(c.Cache != nil, "Cache")
	need(c.NFT != nil, "NFT")
	if c.Family == "" {
		c.Family = corev1.IPv4Protocol
	}
	if c.Listen == nil {
		c.Listen = net.Listen
	}
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	if c.MinSyncInterval == 0 {
		c.MinSyncInterval = DefaultMinSyncInterval
	}
	rules := nft.Config{Family: c.Family}
	want4 := c.Family == corev1.IPv4Protocol
	for _, s := range c.NodeIPs {
		ip, err := netip.ParseAddr(s)
		if err != nil {
			missing = append(missing, fmt.Errorf("proxy.Config.NodeIPs: %w", err))
		} else if ip.Is4() == want4 {
			rules.NodePortIPs = append(rules.NodePortIPs, ip)
		}
	}
	for _, s := range c.ClusterCIDRs {
		cidr, err := netip.ParsePrefix(s)
		if err != nil {
			missing = append(missing, fmt.Errorf("proxy.Config.ClusterCIDRs: %w", err))
		} else if cidr.Addr().Is4() == want4 {
			rules.ClusterCIDRs = append(rules.ClusterCIDRs, cidr.Masked())
		}
	}
	return c, rules, errors.Join(missing...)
}
