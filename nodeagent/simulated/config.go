package simulated

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis"
)

// Label marks simulated nodes; its value is "true".
const Label = "coracle.dev/simulated"

// DefaultNamePrefix begins the names of simulated nodes. No agent that joins may have such
// a name.
const DefaultNamePrefix = "simulated-"

// Config describes simulated nodes. Fields without a default are required.
type Config struct {
	// Client writes to the API server.
	Client client.Client
	// Cache has pods and nodes.
	Cache cache.Cache
	// Clock drives leases and exits. Default: the real clock.
	Clock clock.WithTicker

	// Nodes is how many nodes to make, named NamePrefix and a number from 0.
	Nodes int
	// NamePrefix defaults to DefaultNamePrefix.
	NamePrefix string
	// Names lists the nodes by name instead; then Nodes is ignored.
	Names []string

	// Capacity of each node. Default: 32 CPUs, 256 GiB of memory, 110 pods.
	Capacity corev1.ResourceList
	// Labels and Taints are put on every node.
	Labels map[string]string
	Taints []corev1.Taint
	// KubeletVersion is nodeInfo.kubeletVersion. Default: apis.KubernetesVersion.
	KubeletVersion string

	// PodCIDR returns a node's range of pod addresses. Default: pods of all nodes
	// share 10.112.0.0/12.
	PodCIDR func(node string) netip.Prefix
	// NodeCIDR is the range of the nodes' own addresses. Default: 10.64.0.0/12.
	NodeCIDR netip.Prefix

	// Writers bounds concurrent requests to the API server. Default: 16.
	Writers int
	// LeaseDuration is the node lease's. Default: 40 s. Leases are renewed every
	// quarter of it, or every half when there are more than 1,000 nodes.
	LeaseDuration time.Duration
}

func (c Config) complete() (Config, error) {
	switch {
	case c.Client == nil || c.Cache == nil:
		return c, errors.New("simulated.Config: Client and Cache are required")
	case c.Nodes < 0:
		return c, fmt.Errorf("simulated.Config: Nodes is %d, must not be negative", c.Nodes)
	}
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	if c.NamePrefix == "" {
		c.NamePrefix = DefaultNamePrefix
	}
	if c.Names == nil {
		for i := range c.Nodes {
			c.Names = append(c.Names, fmt.Sprintf("%s%d", c.NamePrefix, i))
		}
	}
	if c.Capacity == nil {
		c.Capacity = corev1.ResourceList{
			corev1.ResourceCPU:              resource.MustParse("32"),
			corev1.ResourceMemory:           resource.MustParse("256Gi"),
			corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
			corev1.ResourcePods:             resource.MustParse("110"),
		}
	}
	if c.KubeletVersion == "" {
		c.KubeletVersion = apis.KubernetesVersion
	}
	if c.PodCIDR == nil {
		shared := netip.MustParsePrefix("10.112.0.0/12")
		c.PodCIDR = func(string) netip.Prefix { return shared }
	}
	if !c.NodeCIDR.IsValid() {
		c.NodeCIDR = netip.MustParsePrefix("10.64.0.0/12")
	}
	if c.Writers <= 0 {
		c.Writers = 16
	}
	if c.LeaseDuration <= 0 {
		c.LeaseDuration = 40 * time.Second
	}
	return c, nil
}

// renewInterval returns the time between two renewals of one lease.
func (c *Config) renewInterval() time.Duration {
	if len(c.Names) > 1000 {
		return c.LeaseDuration / 2
	}
	return c.LeaseDuration / 4
}
