package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/knftables"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/carried"
	"github.com/coracle-k8s/coracle/nodeagent"
	"github.com/coracle-k8s/coracle/nodeagent/env"
	"github.com/coracle-k8s/coracle/nodeagent/images"
	"github.com/coracle-k8s/coracle/nodeagent/network"
	"github.com/coracle-k8s/coracle/nodeagent/objects"
	"github.com/coracle-k8s/coracle/nodeagent/runtime/containerd"
	"github.com/coracle-k8s/coracle/nodeagent/volumes"
	"github.com/coracle-k8s/coracle/proxy"
)

// podStopGrace is how long containers may take when the whole cluster stops.
const podStopGrace = 3 * time.Second

// checkNodes says, before anything is made, what real nodes lack here.
func (c *Cluster) checkNodes() error {
	if *c.config.Nodes == 0 {
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("real nodes need root (namespaces, cgroups, nftables); run as root, or with --nodes 0 --simulated-nodes 1")
	}
	if _, err := exec.LookPath("nft"); err != nil {
		return errors.New("real nodes need the program nft (Debian: apt-get install nftables); install it, or run with --nodes 0 --simulated-nodes 1")
	}
	return nil
}

// nodeAddress is the first real node's address, empty without real nodes: the
// configured one, that of the default route, or the first of the link range.
func (c *Cluster) nodeAddress() string {
	if *c.config.Nodes == 0 {
		return ""
	}
	if c.config.Node.Address != "" {
		return c.config.Node.Address
	}
	// Connecting a UDP socket sends nothing; it asks the kernel for the route.
	if conn, err := net.Dial("udp4", "192.0.2.1:9"); err == nil {
		defer conn.Close()
		return conn.LocalAddr().(*net.UDPAddr).IP.String()
	}
	return netip.MustParsePrefix(c.config.Network.LinkCIDR).Addr().Next().String() // Validate checked it
}

// bindEarly lets a socket take an address that the network sets up later.
func bindEarly(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1)
	})
	return errors.Join(err, failed)
}

// realNode is one node with containers.
type realNode struct {
	cluster *Cluster
	manager manager.Manager
	name    string
	index   int
	podCIDR string

	net     network.NodeNet
	network *network.Network
	runtime *containerd.Containerd // nil with an endpoint of somebody else's
	agent   *nodeagent.Agent
	proxy   *proxy.Proxier
	objects *objects.Store
	volumes *volumes.Manager
}

func (c *Cluster) addNodes(_ context.Context, p *parts) error {
	if *c.config.Nodes == 0 {
		return nil
	}
	p.cleanup = append(p.cleanup, func(ctx context.Context) {
		if _, err := network.Cleanup(ctx, c.id); err != nil {
			c.options.logger.Error(err, "Removing the pod network")
		}
	})
	for i := range int(*c.config.Nodes) {
		n, err := c.newNode(p.manager, i)
		if err != nil {
			return err
		}
		p.cleanup = append(p.cleanup, n.cleanup)
		if err := p.manager.Add(n); err != nil {
			return fmt.Errorf("adding node %s: %w", n.name, err)
		}
	}
	return nil
}

func (c *Cluster) newNode(mgr manager.Manager, index int) (*realNode, error) {
	name := c.config.Node.Name
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("naming the node: %w", err)
		}
		name = strings.ToLower(host)
	}
	if index > 0 {
		name = fmt.Sprintf("%s-%d", name, index)
	}
	subnet, err := podSubnet(c.config.Network.PodCIDR, index)
	if err != nil {
		return nil, err
	}
	return &realNode{cluster: c, manager: mgr, name: name, index: index, podCIDR: subnet.String()}, nil
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
	group.Go(func() error { return n.volumes.Start(ctx) })
	group.Go(func() error { return n.proxy.Start(ctx) })
	group.Go(func() error { return n.agent.Start(ctx) })
	if err := group.Wait(); err != nil {
		return fmt.Errorf("running node %s: %w", n.name, err)
	}
	return nil
}

func (n *realNode) dir(elements ...string) string {
	return n.cluster.path(append([]string{"nodes", fmt.Sprint(n.index)}, elements...)...)
}

func (n *realNode) up(ctx context.Context) error {
	binDir, err := carried.Install(n.cluster.path("bin"), n.cluster.config.Node.BinDir)
	if err != nil {
		return err
	}
	if err := n.setupNetwork(ctx, binDir); err != nil {
		return err
	}
	endpoint := n.cluster.config.Node.ContainerRuntimeEndpoint
	if endpoint == "" {
		if endpoint, err = n.startRuntime(ctx, binDir); err != nil {
			return err
		}
	}
	if err := n.newProxy(); err != nil {
		return err
	}
	if err := n.newAgent(endpoint); err != nil {
		return err
	}
	n.cluster.nodes.add(n.name, n.agent.Handler())
	return nil
}

func (n *realNode) setupNetwork(ctx context.Context, binDir string) error {
	config := n.cluster.config.Network
	var err error
	n.network, err = network.New(network.Config{
		Prefix: n.cluster.id, NodeIndex: n.index, PodCIDRs: []string{n.podCIDR}, ClusterCIDRs: []string{config.PodCIDR},
		ServiceCIDRs: []string{config.ServiceCIDR}, LinkCIDR: config.LinkCIDR, NodeIP: n.cluster.config.Node.Address,
		MTU: int(config.MTU), ConfDir: n.dir("cni"), BinDir: binDir,
	})
	if err != nil {
		return err
	}
	n.net, err = n.network.Setup(ctx)
	return err
}

func (n *realNode) startRuntime(ctx context.Context, binDir string) (string, error) {
	image := n.cluster.config.Node.SandboxImage
	if image == "" {
		image = carried.PauseImage
	}
	var err error
	n.runtime, err = containerd.New(containerd.Config{
		BinDir: binDir, Dir: n.dir("containerd"), StateDir: fmt.Sprintf("/run/coracle/%s/n%d/containerd", n.cluster.id, n.index),
		SandboxImage: image, CNIConfDir: n.dir("cni"), CNIBinDir: binDir, Netns: n.net.Netns,
	})
	if err != nil {
		return "", err
	}
	if err := n.runtime.Ensure(ctx); err != nil {
		return "", err
	}
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
	nft, err := network.NFT(n.net.Netns, knftables.IPv4Family, proxy.TableName(n.cluster.id))
	if err != nil {
		return err
	}
	n.proxy, err = proxy.New(proxy.Config{
		NodeName: n.name, NodeIPs: n.net.NodePortIPs, ClusterCIDRs: []string{n.cluster.config.Network.PodCIDR},
		Cache: n.manager.GetCache(), NFT: nft, Listen: network.Listen(n.net.Netns), Clock: n.cluster.options.clock, Log: n.cluster.options.logger,
	})
	return err
}

func (n *realNode) newAgent(endpoint string) error {
	c := n.cluster
	live, err := client.NewWithWatch(c.server.RESTConfig(), client.Options{Scheme: c.clientScheme, Mapper: c.server.Mapper()})
	if err != nil {
		return fmt.Errorf("making the node's client: %w", err)
	}
	root := n.dir("agent")
	n.objects = objects.New(live, c.options.logger)
	n.volumes, err = volumes.New(volumes.Config{RootDir: root, Client: n.manager.GetClient(), Objects: n.objects, Clock: c.options.clock, Log: c.options.logger, Allocatable: n.allocatable})
	if err != nil {
		return err
	}
	recorder := n.manager.GetEventRecorderFor("kubelet")
	config := nodeagent.Config{
		NodeName: n.name, Client: n.manager.GetClient(), Cache: n.manager.GetCache(), Recorder: recorder, Clock: c.options.clock,
		RootDir: root, PodLogDir: n.dir("logs"), RuntimeEndpoint: endpoint, CgroupRoot: fmt.Sprintf("/coracle-%s/n%d", c.id, n.index),
		ClusterDNS: c.config.Network.ClusterDNS, ClusterDomain: c.config.Network.ClusterDomain,
		NodeIPs: []string{n.net.NodeIP}, PodCIDRs: []string{n.podCIDR}, Labels: c.config.Node.Labels, Taints: c.config.Node.Taints,
		KubeletVersion: apis.KubernetesVersion, SystemReserved: c.config.Node.SystemReserved, MaxPods: int(c.config.Node.MaxPods),
		ContainerLogMaxSize: c.config.Node.ContainerLogMaxSize.Value(), ContainerLogMaxFiles: int(c.config.Node.ContainerLogMaxFiles),
		Volumes: n.volumes, Network: n.network, Dial: network.Dial(n.net.Netns),
		Env: env.New(env.Config{Objects: n.objects, Services: n.services, Allocatable: n.allocatable, Recorder: recorder,
			VolumePath: func(pod *corev1.Pod, volume string) string {
				return n.volumes.VolumePath(pod.UID, "kubernetes.io~empty-dir", volume)
			}}),
	}
	n.agent, err = nodeagent.New(config)
	return err
}

// services are those of a namespace and of default, for environments.
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

// allocatable is what the node offers pods, empty before it has registered.
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
		errs = append(errs, n.runtime.Shutdown(ctx, podStopGrace))
	}
	if n.agent != nil {
		errs = append(errs, n.agent.Shutdown(ctx))
	}
	if n.proxy != nil {
		errs = append(errs, n.proxy.Cleanup(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		n.cluster.options.logger.Error(err, "Cleaning up node", "node", n.name)
	}
}
