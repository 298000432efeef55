package v1alpha1

import (
	"net/netip"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Default fills every field that was left out.
func (c *Cluster) Default() {
	set(&c.APIVersion, APIVersion)
	set(&c.Kind, Kind)
	set(&c.DataDir, DefaultDataDir())
	set(&c.Listen, "127.0.0.1:6443")
	if c.Nodes == nil {
		one := int32(1)
		c.Nodes = &one
	}
	set(&c.Network.ServiceCIDR, "10.96.0.0/16")
	set(&c.Network.PodCIDR, "10.244.0.0/16")
	if p, err := netip.ParsePrefix(c.Network.PodCIDR); err == nil {
		set(&c.Network.NodeCIDRMaskSize, int32(max(24, p.Bits())))
	}
	set(&c.Network.LinkCIDR, "10.245.0.0/24")
	set(&c.Network.NodePorts, "30000-32767")
	set(&c.Network.ClusterDomain, "cluster.local")
	set(&c.Network.LoadBalancer, LoadBalancerNodeAddress)
	set(&c.Node.MaxPods, 110)
	set(&c.Node.ContainerLogMaxFiles, 5)
	if c.Node.ContainerLogMaxSize == nil {
		size := resource.MustParse("10Mi")
		c.Node.ContainerLogMaxSize = &size
	}
	if c.Simulation.Capacity == nil {
		c.Simulation.Capacity = corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("32"), corev1.ResourceMemory: resource.MustParse("256Gi"),
			corev1.ResourcePods: resource.MustParse("110"), corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
		}
	}
	c.APIServer.Default()
	if c.Controllers.Enabled == nil {
		c.Controllers.Enabled = []string{everyController}
	}
	if c.Scheduler.Enabled == nil {
		c.Scheduler.Enabled = new(true)
	}
	set(&c.Controllers.Concurrency, 5)
	set(&c.Controllers.TerminatedPodThreshold, 12500)
	set(&c.Controllers.NodeMonitorGracePeriod.Duration, 50*time.Second)
	if c.LeaderElection.LeaderElect == nil {
		others := len(c.Storage.Endpoints) > 0
		c.LeaderElection.LeaderElect = &others
	}
	set(&c.LeaderElection.LeaseDuration.Duration, 15*time.Second)
	set(&c.LeaderElection.RenewDeadline.Duration, 10*time.Second)
	set(&c.LeaderElection.RetryPeriod.Duration, 2*time.Second)
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// DefaultDataDir returns the data directory of a cluster that configures none:
// /var/lib/coracle as root, else below the user's data directory.
func DefaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/coracle"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "coracle")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "share", "coracle")
	}
	return filepath.Join(os.TempDir(), "coracle")
}
