package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/knftables"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apiserver/connections"
	"github.com/coracle-k8s/coracle/carried"
	"github.com/coracle-k8s/coracle/cluster/datadir"
	"github.com/coracle-k8s/coracle/cluster/host"
	"github.com/coracle-k8s/coracle/dns"
	"github.com/coracle-k8s/coracle/nodeagent"
	"github.com/coracle-k8s/coracle/nodeagent/credentials"
	"github.com/coracle-k8s/coracle/nodeagent/env"
	"github.com/coracle-k8s/coracle/nodeagent/images"
	"github.com/coracle-k8s/coracle/nodeagent/network"
	"github.com/coracle-k8s/coracle/nodeagent/objects"
	"github.com/coracle-k8s/coracle/nodeagent/runtime/containerd"
	"github.com/coracle-k8s/coracle/nodeagent/volumes"
	"github.com/coracle-k8s/coracle/proxy"
)

// nodeHost holds what a real node needs of the process that runs it: a whole
// cluster, or an agent that joined one.
type nodeHost struct {
	// id is in the names of everything on this machine, dir holds the files.
	id, dir string
	network v1alpha1.Network
	node    v1alpha1.Node
	manager manager.Manager
	// live reads from the server, not from the manager's cache.
	live     client.WithWatch
	clock    clock.WithTicker
	log      logr.Logger
	metrics  prometheus.Registerer // nil without metrics
	progress func(string)
	// programs installs what nodes run, once for all of them.
	programs func() (string, error)
	// serve takes an agent's API, which others reach at port if that is not 0.
	serve func(node string, api http.Handler)
	port  int32
	// ports are the connections of ports that are open to all: DNS of pods and the
	// health checks of Services.
	ports *connections.Pool
}

// realNode is one node with containers.
type realNode struct {
	*nodeHost
	name    string
	index   int
	podCIDR string

	net     network.NodeNet
	pods    *network.Network
	runtime *containerd.Containerd // nil if the runtime was not started by the node
	agent   *nodeagent.Agent
	proxy   *proxy.Proxier
	netlink *netlink.Handle // of the proxy, into the node's network namespace
	dns     *dns.Server     // nil if the cluster's DNS is not the nodes' own
	objects *objects.Store
	volumes *volumes.Manager
	// credentials are of the node's pods, not of the node.
	credentials *credentials.Manager
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: nodes never do.
func (n *realNode) NeedLeaderElection() bool { return false }

// Start brings the node up and runs it until ctx ends.
func (n *realNode) Start(ctx context.Context) error {
	if err := n.up(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("starting node %s: %w", n.name, err)
	}
	group, ctx := errgroup.WithContext(ctx)
	if n.runtime != nil {
		group.Go(func() error { return n.runtime.Start(ctx) })
	}
	group.Go(func() error { return n.objects.Start(ctx) })
	group.Go(func() error { return n.credentials.Start(ctx) })
	group.Go(func() error { return n.volumes.Start(ctx) })
	group.Go(func() error { return n.proxy.Start(ctx) })
	if n.dns != nil {
		group.Go(func() error { return n.dns.Start(ctx) })
	}
	group.Go(func() error { return n.agent.Start(ctx) })
	if err := group.Wait(); err != nil {
		return fmt.Errorf("running node %s: %w", n.name, err)
	}
	return nil
}

func (n *realNode) path(elements ...string) string {
	return filepath.Join(append([]string{n.nodeHost.dir, "nodes", fmt.Sprint(n.index)}, elements...)...)
}

func (n *realNode) up(ctx context.Context) error {
	binDir, err := n.programs()
	if err != nil {
		return err
	}
	if err := n.noteName(); err != nil {
		return err
	}
	if err := n.setupNetwork(ctx, binDir); err != nil {
		return err
	}
	endpoint := n.node.ContainerRuntimeEndpoint
	if endpoint == "" {
		if endpoint, err = n.startRuntime(ctx, binDir); err != nil {
			return err
		}
	}
	if err := n.newProxy(); err != nil {
		return err
	}
	if err := n.newDNS(); err != nil {
		return err
	}
	if err := n.newAgent(endpoint); err != nil {
		return errors.Join(err, n.closeDNS())
	}
	n.serve(n.name, n.agent.Handler())
	return nil
}

// noteName writes the node's name where NodeNames finds it.
func (n *realNode) noteName() error {
	err := os.MkdirAll(n.path(), 0o700)
	if err == nil {
		err = os.WriteFile(n.path(datadir.NameFile), []byte(n.name+"\n"), 0o600)
	}
	if err != nil {
		return fmt.Errorf("making the node's directory: %w", err)
	}
	return nil
}

func (n *realNode) setupNetwork(ctx context.Context, binDir string) error {
	config := n.network
	var err error
	n.pods, err = network.New(network.Config{
		Prefix: n.id, NodeIndex: n.index, PodCIDRs: []string{n.podCIDR}, ClusterCIDRs: []string{config.PodCIDR},
		ServiceCIDRs: []string{config.ServiceCIDR}, LinkCIDR: config.LinkCIDR, NodeIP: n.node.Address,
		MTU: int(config.MTU), ConfDir: n.path("cni"), BinDir: binDir,
	})
	if err != nil {
		return err
	}
	n.net, err = n.pods.Setup(ctx)
	return err
}

func (n *realNode) startRuntime(ctx context.Context, binDir string) (string, error) {
	image := n.node.SandboxImage
	if image == "" {
		image = carried.PauseImage
	}
	var err error
	n.runtime, err = containerd.New(containerd.Config{
		BinDir: binDir, Dir: n.path("containerd"), StateDir: filepath.Join(host.RunDir(n.id), fmt.Sprint("n", n.index), "containerd"),
		SandboxImage: image, CNIConfDir: n.path("cni"), CNIBinDir: binDir, Netns: n.net.Netns,
	})
	if err != nil {
		return "", err
	}
	n.progress(n.name + ": starting containerd")
	if err := n.runtime.Ensure(ctx); err != nil {
		return "", err
	}
	n.progress(n.name + ": importing the built-in images")
	return n.runtime.Endpoint(), n.importImages(ctx)
}

// importImages gives the node the built-in images that this build carries.
func (n *realNode) importImages(ctx context.Context) error {
	for _, image := range []carried.Image{carried.Pause(), carried.Sample()} {
		archive, err := image.Archive()
		if errors.Is(err, carried.ErrMissing) {
			continue
		}
		if err != nil {
			return err
		}
		if _, err := images.Import(ctx, n.runtime.Endpoint(), bytes.NewReader(archive)); err != nil {
			return err
		}
	}
	return nil
}

func (n *realNode) newProxy() error {
	nft, err := network.NFT(n.net.Netns, knftables.IPv4Family, proxy.TableName(n.id))
	if err != nil {
		return err
	}
	if n.netlink, err = network.Handle(n.net.Netns); err != nil {
		return err
	}
	n.proxy, err = proxy.New(proxy.Config{
		NodeName: n.name, NodeIPs: n.net.NodePortIPs, ClusterCIDRs: []string{n.network.PodCIDR},
		Cache: n.manager.GetCache(), NFT: nft, Conntrack: proxy.NetlinkConntrack{Handle: n.netlink},
		Listen: n.ports.Wrap(network.Listen(n.net.Netns)), Clock: n.clock, Log: n.log, Metrics: n.metrics,
	})
	return err
}

// newDNS listens at the node's own address in its pods' range, which only they reach.
func (n *realNode) newDNS() error {
	if !n.network.DNSAddress().IsValid() {
		return nil
	}
	pods, err := netip.ParsePrefix(n.podCIDR)
	if err != nil {
		return fmt.Errorf("reading the range of the node's pods: %w", err)
	}
	n.dns, err = dns.Listen(dns.Config{
		Zone: dns.NewZone(n.network.ClusterDomain, dns.FromCache(n.manager.GetCache())), Address: pods.Masked().Addr().Next().String(),
		Listen: n.ports.Wrap(network.Listen(n.net.Netns)), ListenPacket: network.ListenPacket(n.net.Netns),
		Resolvers: dns.ResolvConf("/etc/resolv.conf"), Log: n.log,
	})
	return err
}

func (n *realNode) closeDNS() error {
	if n.dns == nil {
		return nil
	}
	return n.dns.Close()
}

func (n *realNode) annotations() map[string]string {
	if n.dns == nil {
		// The node may have answered before its cluster's DNS became another's.
		return map[string]string{apis.AnnotationDNS: ""}
	}
	return map[string]string{apis.AnnotationDNS: n.dns.Address().String()}
}

func (n *realNode) newAgent(endpoint string) error {
	root := n.path("agent")
	n.objects = objects.New(n.live, n.log)
	recorder := n.manager.GetEventRecorderFor("kubelet")
	var err error
	n.credentials, err = credentials.New(credentials.Config{NodeName: n.name, Cache: n.manager.GetCache(), Live: n.live, Recorder: recorder, Clock: n.clock})
	if err != nil {
		return err
	}
	n.volumes, err = volumes.New(volumes.Config{
		RootDir: root, Client: n.manager.GetClient(), Objects: n.objects, Credentials: n.credentials, Clock: n.clock, Log: n.log, Allocatable: n.allocatable,
	})
	if err != nil {
		return err
	}
	config := nodeagent.Config{
		NodeName: n.name, Client: n.manager.GetClient(), Cache: n.manager.GetCache(), Recorder: recorder, Clock: n.clock,
		RootDir: root, PodLogDir: n.path("logs"), RuntimeEndpoint: endpoint, CgroupRoot: fmt.Sprintf("%s/n%d", host.Cgroup(n.id), n.index),
		ClusterDNS: n.network.DNSServers(), ClusterDomain: n.network.ClusterDomain,
		NodeIPs: []string{n.net.NodeIP}, PodCIDRs: []string{n.podCIDR}, Labels: n.node.Labels, Annotations: n.annotations(), Taints: n.node.Taints,
		KubeletVersion: apis.KubernetesVersion, SystemReserved: n.node.SystemReserved, MaxPods: int(n.node.MaxPods), ServerPort: n.port,
		AllowedUnsafeSysctls: n.node.AllowedUnsafeSysctls,
		ContainerLogMaxSize:  n.node.ContainerLogMaxSize.Value(), ContainerLogMaxFiles: int(n.node.ContainerLogMaxFiles),
		Volumes: n.volumes, Network: n.pods, Dial: network.Dial(n.net.Netns),
		Env: env.New(env.Config{Objects: n.objects, Services: n.services, Allocatable: n.allocatable, Recorder: recorder, VolumePath: n.volumes.EmptyDirPath}),
	}
	n.agent, err = nodeagent.New(config)
	return err
}

// services returns the Services of a namespace and of default, for
// environments.
func (n *realNode) services(ctx context.Context, namespace string) ([]corev1.Service, error) {
	var all []corev1.Service
	for _, ns := range []string{namespace, corev1.NamespaceDefault} {
		list := &corev1.ServiceList{}
		if err := n.manager.GetClient().List(ctx, list, client.InNamespace(ns)); err != nil {
			return nil, fmt.Errorf("listing services: %w", err)
		}
		all = append(all, list.Items...)
		if namespace == corev1.NamespaceDefault {
			break
		}
	}
	return all, nil
}

// allocatable returns the node's allocatable resources, empty before it has registered.
func (n *realNode) allocatable() corev1.ResourceList {
	node := &corev1.Node{}
	if err := n.manager.GetClient().Get(context.Background(), client.ObjectKey{Name: n.name}, node); err != nil {
		return nil
	}
	return node.Status.Allocatable
}

// cleanup ends what the node left running when Start returned.
func (n *realNode) cleanup(ctx context.Context) {
	var errs []error
	if n.runtime != nil {
		errs = append(errs, n.runtime.Shutdown(ctx, datadir.PodStopGrace))
	}
	if n.agent != nil {
		errs = append(errs, n.agent.Shutdown(ctx))
	}
	if n.proxy != nil {
		errs = append(errs, n.proxy.Cleanup(ctx))
	}
	if n.netlink != nil {
		n.netlink.Close()
	}
	if err := errors.Join(errs...); err != nil {
		n.log.Error(err, "Cleaning up node", "node", n.name)
	}
}
