package nodeagent

import (
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/nodeagent/host"
)

// Config holds the dependencies and settings of an Agent. Fields without a
// default are required.
type Config struct {
	// NodeName is the name of the node's object.
	NodeName string
	// Client reads through Cache and writes to the API server.
	Client client.Client
	// Live reads from the API server. Default: Client.
	Live client.Reader
	// Cache has pods (by index.PodNode), services and the node itself.
	Cache cache.Cache
	// Recorder receives events about pods and the node (component "kubelet").
	Recorder record.EventRecorder
	// Clock drives every timer. Default: the real clock.
	Clock clock.WithTicker

	// RootDir is the agent's directory, /var/lib/kubelet's counterpart: pods/,
	// checkpoints. Created with mode 0700.
	RootDir string
	// PodLogDir holds <ns>_<name>_<uid>/<container>/<n>.log. Default: RootDir/logs.
	PodLogDir string
	// RuntimeEndpoint is the CRI socket: a path or unix:// URL.
	RuntimeEndpoint string
	// CgroupRoot is the cgroup under which this node's pods live, "/" first, such
	// as /coracle/node-1. Default: /coracle/<NodeName>.
	CgroupRoot string
	// NodeCgroups switches QoS and pod cgroups on. Default (nil): on if the
	// cgroup file system can be written.
	NodeCgroups *bool

	// ClusterDNS are the cluster's DNS servers; none means that ClusterFirst pods
	// get the host's settings, with an event about that, as with the kubelet.
	ClusterDNS []string
	// ClusterDomain is the domain of services. Default: cluster.local.
	ClusterDomain string
	// ResolvConf is the host's resolver file. Default: /etc/resolv.conf.
	ResolvConf string

	// NodeIPs are the node's addresses, one per family, primary first. Required.
	NodeIPs []string
	// Hostname is the node's address of type Hostname and its
	// kubernetes.io/hostname label. Default: NodeName.
	Hostname string
	// PodCIDRs are the ranges of the node's pods. Empty: taken from the node's
	// spec.podCIDRs when it gets them.
	PodCIDRs []string
	// Labels, Annotations and Taints are put on the node at registration.
	Labels      map[string]string
	Annotations map[string]string
	Taints      []corev1.Taint
	// ServerPort is the port that serves Handler, published as
	// status.daemonEndpoints.kubeletEndpoint. 0 publishes none.
	ServerPort int32
	// KubeletVersion is nodeInfo.kubeletVersion. Default: apis.KubernetesVersion.
	KubeletVersion string
	// Capacity overrides what the machine has, by resource. SystemReserved is
	// subtracted from capacity to get allocatable.
	Capacity       corev1.ResourceList
	SystemReserved corev1.ResourceList
	// MaxPods is the capacity in pods. Default: 110.
	MaxPods int

	// Volumes, Env and Network reach into the host. Volumes and Env are required;
	// without Network the agent does not write the node's CNI configuration.
	Volumes host.Volumes
	Env     host.Env
	Network host.Network
	// Dial opens probes' connections. Default: a net.Dialer.
	Dial host.DialFunc

	// SeccompDir holds localhost seccomp profiles. Default: RootDir/seccomp.
	SeccompDir string
	// AllowedUnsafeSysctls are sysctls or prefixes ending in * that pods may set
	// besides the safe ones.
	AllowedUnsafeSysctls []string

	// ContainerLogMaxSize is in bytes (default 10 MiB) and ContainerLogMaxFiles
	// counts the current file too (default 5).
	ContainerLogMaxSize  int64
	ContainerLogMaxFiles int
	// ImageGCHighPercent and ImageGCLowPercent of the image file system start and
	// end image garbage collection. Defaults: 85 and 80.
	ImageGCHighPercent, ImageGCLowPercent int
	// ImageMinimumAge protects unused images. Default: 2 minutes.
	ImageMinimumAge time.Duration
	// MaxContainerBackoff caps CrashLoopBackOff. Default: 5 minutes.
	MaxContainerBackoff time.Duration
	// LeaseDuration is the node lease's. Default: 40 s, renewed every quarter of it.
	LeaseDuration time.Duration
	// StatusInterval is how often an unchanged node status is written. Default: 5 minutes.
	StatusInterval time.Duration
}

// complete fills defaults in and returns an error about what is missing.
func (c Config) complete() (Config, error) {
	var missing []error
	need := func(ok bool, field string) {
		if !ok {
			missing = append(missing, fmt.Errorf("nodeagent.Config.%s is required", field))
		}
	}
	need(c.NodeName != "", "NodeName")
	need(c.Client != nil, "Client")
	need(c.Cache != nil, "Cache")
	need(c.Recorder != nil, "Recorder")
	need(c.RootDir != "", "RootDir")
	need(c.RuntimeEndpoint != "", "RuntimeEndpoint")
	need(len(c.NodeIPs) > 0, "NodeIPs")
	need(c.Volumes != nil, "Volumes")
	need(c.Env != nil, "Env")
	if len(missing) > 0 {
		return c, errors.Join(missing...)
	}
	c.defaultPaths()
	c.defaultLimits()
	return c, nil
}

func (c *Config) defaultPaths() {
	if c.Live == nil {
		c.Live = c.Client
	}
	setDefault(&c.PodLogDir, c.RootDir+"/logs")
	setDefault(&c.CgroupRoot, "/coracle/"+c.NodeName)
	setDefault(&c.ClusterDomain, "cluster.local")
	setDefault(&c.ResolvConf, "/etc/resolv.conf")
	setDefault(&c.Hostname, c.NodeName)
	setDefault(&c.SeccompDir, c.RootDir+"/seccomp")
	setDefault(&c.KubeletVersion, apis.KubernetesVersion)
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
}

func (c *Config) defaultLimits() {
	setDefault(&c.MaxPods, 110)
	setDefault(&c.ContainerLogMaxSize, 10<<20)
	setDefault(&c.ContainerLogMaxFiles, 5)
	setDefault(&c.ImageGCHighPercent, 85)
	setDefault(&c.ImageGCLowPercent, 80)
	setDefault(&c.ImageMinimumAge, 2*time.Minute)
	setDefault(&c.MaxContainerBackoff, 5*time.Minute)
	setDefault(&c.LeaseDuration, 40*time.Second)
	setDefault(&c.StatusInterval, 5*time.Minute)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
