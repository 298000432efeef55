package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

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

// Host holds what a real node needs of the process that runs it: a whole
// cluster, or an agent that joined one.
type Host struct {
	// ID is in the names of everything on this machine, Dir holds the files.
	ID, Dir string
	Network v1alpha1.Network
	Node    v1alpha1.Node
	Manager manager.Manager
	// Live reads from the server, not from the manager's cache.
	Live     client.WithWatch
	Clock    clock.WithTicker
	Log      logr.Logger
	Metrics  prometheus.Registerer // nil without metrics
	Progress func(string)
	// Programs installs what nodes run, once for all of them.
	Programs func() (string, error)
	// Serve takes an agent's API, which others reach at Port if that is not 0.
	Serve func(node string, api http.Handler)
	Port  int32
	// Ports are the connections of ports that are open to all: DNS of pods and the
	// health checks of Services.
	Ports *connections.Pool
}

// Node is one node with containers.
type Node struct {
	*Host
	Name string
	// Index is the number of the node on this machine, from 0: the first is in the host's
	// network namespace.
	Index int
	// PodCIDR is the range of addresses of its pods.
	PodCIDR string

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
func (n *Node) NeedLeaderElection() bool { return false }

// Start brings the node up and runs it until ctx ends.
func (n *Node) Start(ctx context.Context) error {
	if err := n.up(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("starting node %s: %w", n.Name, err)
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
		return fmt.Errorf("running node %s: %w", n.Name, err)
	}
	return nil
}

func (n *Node) path(elements ...string) string {
	return filepath.Join(append([]string{n.Host.Dir, "nodes", fmt.Sprint(n.Index)}, elements...)...)
}

func (n *Node) up(ctx context.Context) error {
	binDir, err := n.Programs()
	if err != nil {
		return err
	}
	if err := n.noteName(); err != nil {
		return err
	}
	if err := n.setupNetwork(ctx, binDir); err != nil {
		return err
	}
	endpoint := n.Node.ContainerRuntimeEndpoint
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
	n.Serve(n.Name, n.agent.Handler())
	return nil
}

// noteName writes the node's name where datadir.LocalNodes finds it.
func (n *Node) noteName() error {
	err := os.MkdirAll(n.path(), 0o700)
	if err == nil {
		err = os.WriteFile(n.path(datadir.NameFile), []byte(n.Name+"\n"), 0o600)
	}
	if err != nil {
		return fmt.Errorf("making the node's directory: %w", err)
	}
	return nil
}

func (n *Node) setupNetwork(ctx context.Context, binDir string) error {
	config := n.Network
	var err error
	n.pods, err = network.New(network.Config{
		Prefix: n.ID, NodeIndex: n.Index, PodCIDRs: []string{n.PodCIDR}, ClusterCIDRs: []string{config.PodCIDR},
		ServiceCIDRs: []string{config.ServiceCIDR}, LinkCIDR: config.LinkCIDR, NodeIP: n.Node.Address,
		MTU: int(config.MTU), ConfDir: n.path("cni"), BinDir: binDir,
	})
	if err != nil {
		return err
	}
	n.net, err = n.pods.Setup(ctx)
	return err
}

func (n *Node) startRuntime(ctx context.Context, binDir string) (string, error) {
	image := n.Node.SandboxImage
	if image == "" {
		image = carried.PauseImage
	}
	var err error
	n.runtime, err = containerd.New(containerd.Config{
		BinDir: binDir, Dir: n.path("containerd"), StateDir: filepath.Join(host.RunDir(n.ID), fmt.Sprint("n", n.Index), "containerd"),
		SandboxImage: image, CNIConfDir: n.path("cni"), CNIBinDir: binDir, Netns: n.net.Netns,
	})
	if err != nil {
		return "", err
	}
	n.Progress(n.Name + ": starting containerd")
	if err := n.runtime.Ensure(ctx); err != nil {
		return "", err
	}
	n.Progress(n.Name + ": importing the built-in images")
	return n.runtime.Endpoint(), n.importImages(ctx)
}

// importImages gives the node the built-in images that this build carries.
func (n *Node) importImages(ctx context.Context) error {
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

func (n *Node) newProxy() error {
	nft, err := network.NFT(n.net.Netns, knftables.IPv4Family, proxy.TableName(n.ID))
	if err != nil {
		return err
	}
	if n.netlink, err = network.Handle(n.net.Netns); err != nil {
		return err
	}
	n.proxy, err = proxy.New(proxy.Config{
		NodeName: n.Name, NodeIPs: n.net.NodePortIPs, ClusterCIDRs: []string{n.Network.PodCIDR},
		Cache: n.Manager.GetCache(), NFT: nft, Conntrack: proxy.NetlinkConntrack{Handle: n.netlink},
		Listen: n.Ports.Wrap(network.Listen(n.net.Netns)), Clock: n.Clock, Log: n.Log, Metrics: n.Metrics,
	})
	return err
}

// newDNS listens at the node's own address in its pods' range, which only they reach.
func (n *Node) newDNS() error {
	if !n.Network.DNSAddress().IsValid() {
		return nil
	}
	pods, err := netip.ParsePrefix(n.PodCIDR)
	if err != nil {
		return fmt.Errorf("reading the range of the node's pods: %w", err)
	}
	n.dns, err = dns.Listen(dns.Config{
		Zone: dns.NewZone(n.Network.ClusterDomain, dns.FromCache(n.Manager.GetCache())), Address: pods.Masked().Addr().Next().String(),
		Listen: n.Ports.Wrap(network.Listen(n.net.Netns)), ListenPacket: network.ListenPacket(n.net.Netns),
		Resolvers: dns.ResolvConf("/etc/resolv.conf"), Log: n.Log,
	})
	return err
}

func (n *Node) closeDNS() error {
	if n.dns == nil {
		return nil
	}
	return n.dns.Close()
}

func (n *Node) annotations() map[string]string {
	if n.dns == nil {
		// The node may have answered before its cluster's DNS became another's.
		return map[string]string{apis.AnnotationDNS: ""}
	}
	return map[string]string{apis.AnnotationDNS: n.dns.Address().String()}
}

func (n *Node) newAgent(endpoint string) error {
	root := n.path("agent")
	n.objects = objects.New(n.Live, n.Log)
	recorder := n.Manager.GetEventRecorderFor("kubelet")
	var err error
	n.credentials, err = credentials.New(credentials.Config{NodeName: n.Name, Cache: n.Manager.GetCache(), Live: n.Live, Recorder: recorder, Clock: n.Clock})
	if err != nil {
		return err
	}
	n.volumes, err = volumes.New(volumes.Config{
		RootDir: root, Client: n.Manager.GetClient(), Objects: n.objects, Credentials: n.credentials, Clock: n.Clock, Log: n.Log, Allocatable: n.allocatable,
	})
	if err != nil {
		return err
	}
	config := nodeagent.Config{
		NodeName: n.Name, Client: n.Manager.GetClient(), Live: n.Live, Cache: n.Manager.GetCache(), Recorder: recorder, Clock: n.Clock,
		RootDir: root, PodLogDir: n.path("logs"), RuntimeEndpoint: endpoint, CgroupRoot: fmt.Sprintf("%s/n%d", host.Cgroup(n.ID), n.Index),
		ClusterDNS: n.Network.DNSServers(), ClusterDomain: n.Network.ClusterDomain,
		NodeIPs: []string{n.net.NodeIP}, PodCIDRs: []string{n.PodCIDR}, Labels: n.Node.Labels, Annotations: n.annotations(), Taints: n.Node.Taints,
		KubeletVersion: apis.KubernetesVersion, SystemReserved: n.Node.SystemReserved, MaxPods: int(n.Node.MaxPods), ServerPort: n.Port,
		AllowedUnsafeSysctls: n.Node.AllowedUnsafeSysctls,
		ContainerLogMaxSize:  n.Node.ContainerLogMaxSize.Value(), ContainerLogMaxFiles: int(n.Node.ContainerLogMaxFiles),
		Volumes: n.volumes, Network: n.pods, Dial: network.Dial(n.net.Netns),
		Env: env.New(env.Config{Objects: n.objects, Services: n.services, Allocatable: n.allocatable, Recorder: recorder, VolumePath: n.volumes.EmptyDirPath}),
	}
	n.agent, err = nodeagent.New(config)
	return err
}

// services returns the Services of a namespace and of default, for
// environments.
func (n *Node) services(ctx context.Context, namespace string) ([]corev1.Service, error) {
	var all []corev1.Service
	for _, ns := range []string{namespace, corev1.NamespaceDefault} {
		list := &corev1.ServiceList{}
		if err := n.Manager.GetClient().List(ctx, list, client.InNamespace(ns)); err != nil {
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
func (n *Node) allocatable() corev1.ResourceList {
	node := &corev1.Node{}
	if err := n.Manager.GetClient().Get(context.Background(), client.ObjectKey{Name: n.Name}, node); err != nil {
		return nil
	}
	return node.Status.Allocatable
}

// Cleanup ends what the node left running when Start returned.
func (n *Node) Cleanup(ctx context.Context) {
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
		n.Log.Error(err, "Cleaning up node", "node", n.Name)
	}
}

// Programs returns a function that installs node programs on its first call and returns their
// directory.
func Programs(dir, given string, progress func(string)) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		progress("installing node programs")
		return carried.Install(dir, given)
	})
}

// Remove takes away what all nodes of the cluster or agent id share on this machine: the pod
// network and the cgroups. The nodes have ended.
func Remove(ctx context.Context, id string) error {
	_, err := network.Cleanup(ctx, id)
	return errors.Join(err, host.RemoveCgroups(id, func(string) {}))
}
