package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// APIVersion and Kind of a configuration file.
const (
	APIVersion = "config.coracle.dev/v1alpha1"
	Kind       = "Cluster"
)

// Cluster configures one cluster in one process.
type Cluster struct {
	// APIVersion must be config.coracle.dev/v1alpha1; default the same.
	APIVersion string `json:"apiVersion,omitempty"`
	// Kind must be Cluster; default the same.
	Kind string `json:"kind,omitempty"`

	// DataDir holds everything the cluster keeps. Default /var/lib/coracle as
	// root, else coracle in the user's data directory ($XDG_DATA_HOME).
	DataDir string `json:"dataDir,omitempty"`
	// Listen is the address and port of the API server; port 0 picks a free
	// one. Default 127.0.0.1:6443.
	Listen string `json:"listen,omitempty"`
	// AdvertiseAddress is the IP address at which pods and other machines reach
	// the API server. Default the address that it listens on; if that is loopback,
	// the first real node's; if it is unspecified, that of the default route.
	AdvertiseAddress string `json:"advertiseAddress,omitempty"`
	// ExtraNames are further DNS names and IP addresses in the server's certificate.
	ExtraNames []string `json:"extraNames,omitempty"`
	// Nodes is the number of real nodes on this machine: the first runs in the
	// host's network namespace, each other one in its own. Default 1.
	Nodes *int32 `json:"nodes,omitempty"`
	// SimulatedNodes is the number of nodes that run pods without containers. Default 0.
	SimulatedNodes int32 `json:"simulatedNodes,omitempty"`
	// FeatureGates are Kubernetes' feature gates, AllAlpha and AllBeta among them.
	// Unknown gates are refused. A gate that is off hides the resources that upstream
	// serves only with it; otherwise what Coracle does stays as docs/features.md lists
	// it, and a gate that asks for something else is reported. Default: Kubernetes' own.
	FeatureGates map[string]bool `json:"featureGates,omitempty"`

	Network        Network        `json:"network,omitempty"`
	Agents         Agents         `json:"agents,omitempty"`
	Storage        Storage        `json:"storage,omitempty"`
	APIServer      APIServer      `json:"apiServer,omitempty"`
	Node           Node           `json:"node,omitempty"`
	Simulation     Simulation     `json:"simulation,omitempty"`
	Controllers    Controllers    `json:"controllers,omitempty"`
	Scheduler      Scheduler      `json:"scheduler,omitempty"`
	LeaderElection LeaderElection `json:"leaderElection,omitempty"`
}

// Network configures pod and Service networks. Clusters on one host that have
// real nodes need ranges of their own.
type Network struct {
	// ServiceCIDR is the range of ClusterIPs. It may be in IPv6 where there are no
	// real nodes. Default 10.96.0.0/16.
	ServiceCIDR string `json:"serviceCIDR,omitempty"`
	// PodCIDR is the range of pod addresses. Default 10.244.0.0/16.
	PodCIDR string `json:"podCIDR,omitempty"`
	// NodeCIDRMaskSize is the prefix length of the range of pod addresses that
	// each node gets, at most 16 more than PodCIDR's. Default 24, or PodCIDR's own
	// if that is longer.
	NodeCIDRMaskSize int32 `json:"nodeCIDRMaskSize,omitempty"`
	// LinkCIDR is the range of addresses of nodes that have their own network
	// namespace. Default 10.245.0.0/24.
	LinkCIDR string `json:"linkCIDR,omitempty"`
	// NodePorts is the inclusive range of node ports. Default 30000-32767.
	NodePorts string `json:"nodePorts,omitempty"`
	// ClusterDomain is the DNS suffix of Services. Default cluster.local.
	ClusterDomain string `json:"clusterDomain,omitempty"`
	// ClusterDNS are the addresses of DNS servers that pods with dnsPolicy
	// ClusterFirst ask. Default none: real nodes answer such pods themselves, at
	// the tenth address of ServiceCIDR.
	ClusterDNS []string `json:"clusterDNS,omitempty"`
	// LoadBalancer selects what makes the load balancers of Services that name no
	// class: NodeAddress gives them the addresses of nodes, None leaves them to
	// another controller. Default NodeAddress.
	LoadBalancer LoadBalancer `json:"loadBalancer,omitempty"`
	// MTU of pod interfaces in bytes; 0 takes the host's default route's. Default 0.
	MTU int32 `json:"mtu,omitempty"`
}

// Agents configures how agents join.
type Agents struct {
	// Proxies are IP addresses and ranges of load balancers and address translation
	// between agents and servers. An agent behind one of them names its own address,
	// which must not be that of a server or of another node; the address of every other
	// agent is the one that its connection comes from. Default none.
	Proxies []string `json:"proxies,omitempty"`
}

// LoadBalancer is a way to make the load balancers of Services.
type LoadBalancer string

// The ways to make load balancers.
const (
	LoadBalancerNodeAddress LoadBalancer = "NodeAddress"
	LoadBalancerNone        LoadBalancer = "None"
)

// Storage configures etcd.
type Storage struct {
	// UnsafeNoFsync acknowledges writes before they are on disk. For tests
	// only: a crash of the machine loses data. Default false.
	UnsafeNoFsync bool `json:"unsafeNoFsync,omitempty"`
	// Endpoints are URLs of an etcd that runs elsewhere. Default none: etcd runs
	// in this process.
	Endpoints []string `json:"endpoints,omitempty"`
	// CAFile has the authority of https endpoints; CertFile and KeyFile have the
	// client certificate. PEM files. Default: the system's authorities, and no
	// certificate.
	CAFile   string `json:"caFile,omitempty"`
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`
}

// Node configures real nodes.
type Node struct {
	// Name of the first node; further ones get -1, -2 and so on. Default the
	// host's name.
	Name string `json:"name,omitempty"`
	// Address is the first node's address. Default that of the interface
	// with the default route, else 127.0.0.1.
	Address string `json:"address,omitempty"`
	// ContainerRuntimeEndpoint is the CRI socket of a running containerd to
	// use instead of starting one; only with one node. Default none.
	ContainerRuntimeEndpoint string `json:"containerRuntimeEndpoint,omitempty"`
	// BinDir is the directory of containerd, containerd-shim-runc-v2, runc and the
	// CNI plugins. Default: those carried in the binary, else PATH.
	BinDir string `json:"binDir,omitempty"`
	// SandboxImage is the image of pod sandboxes. Default the built-in one.
	SandboxImage string `json:"sandboxImage,omitempty"`
	// MaxPods bounds the pods of a node. Default 110.
	MaxPods int32 `json:"maxPods,omitempty"`
	// Labels and Taints that nodes register with.
	Labels map[string]string `json:"labels,omitempty"`
	Taints []corev1.Taint    `json:"taints,omitempty"`
	// SystemReserved is kept back from what pods may request. Default none.
	SystemReserved corev1.ResourceList `json:"systemReserved,omitempty"`
	// AllowedUnsafeSysctls are those that pods may set besides the safe ones, by
	// name or by prefix: net.core.*. Default none.
	AllowedUnsafeSysctls []string `json:"allowedUnsafeSysctls,omitempty"`
	// ContainerLogMaxSize and ContainerLogMaxFiles bound the logs kept of one
	// container. Defaults 10Mi and 5.
	ContainerLogMaxSize  *resource.Quantity `json:"containerLogMaxSize,omitempty"`
	ContainerLogMaxFiles int32              `json:"containerLogMaxFiles,omitempty"`
}

// Simulation configures simulated nodes.
type Simulation struct {
	// Capacity of each node. Default 32 CPUs, 256Gi of memory, 110 pods.
	Capacity corev1.ResourceList `json:"capacity,omitempty"`
	// Labels of each node besides the usual ones.
	Labels map[string]string `json:"labels,omitempty"`
}

// Controllers configures the controllers.
type Controllers struct {
	// Enabled lists the controllers that run, as kube-controller-manager's flag
	// --controllers: "*" is all that are not named, "name" is one that runs and
	// "-name" one that does not. An empty list (not null) is none; what
	// kube-apiserver runs by itself runs always. Default ["*"].
	Enabled []string `json:"enabled"`
	// Concurrency is the number of objects that each controller works on at once. Default 5.
	Concurrency int32 `json:"concurrency,omitempty"`
	// NodeMonitorGracePeriod is the time for which a node may be silent before it is
	// Unknown. Default 50s.
	NodeMonitorGracePeriod metav1.Duration `json:"nodeMonitorGracePeriod,omitempty"`
	// TerminatedPodThreshold is the number of finished pods beyond which the oldest are
	// deleted. Default 12500.
	TerminatedPodThreshold int32 `json:"terminatedPodThreshold,omitempty"`
}

// Scheduler configures the scheduler.
type Scheduler struct {
	// Enabled runs the scheduler. Without it pods stay unscheduled, unless another
	// scheduler binds them. Default true.
	Enabled *bool `json:"enabled,omitempty"`
}

// LeaderElection configures which of several servers with the same etcd runs
// the controllers, and which the scheduler: the holders of the Leases
// kube-controller-manager and kube-scheduler in kube-system, as upstream.
type LeaderElection struct {
	// LeaderElect is to be true if there may be other servers. Without it there is no
	// Lease, and this server runs everything. Default: true if etcd runs elsewhere
	// (storage.endpoints).
	LeaderElect *bool `json:"leaderElect,omitempty"`
	// LeaseDuration bounds how long a Lease that is not renewed keeps other servers
	// from leading, at least 1s. Default 15s.
	LeaseDuration metav1.Duration `json:"leaseDuration,omitempty"`
	// RenewDeadline is the time for which a leader tries to renew before it stops leading;
	// shorter than LeaseDuration. Default 10s.
	RenewDeadline metav1.Duration `json:"renewDeadline,omitempty"`
	// RetryPeriod is the time between tries to get or renew; 1.2 times it is
	// shorter than RenewDeadline. Default 2s.
	RetryPeriod metav1.Duration `json:"retryPeriod,omitempty"`
}
