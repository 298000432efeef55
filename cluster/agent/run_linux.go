package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apiserver/connections"
	"github.com/coracle-k8s/coracle/cluster/datadir"
	"github.com/coracle-k8s/coracle/cluster/host"
	"github.com/coracle-k8s/coracle/cluster/node"
)

// Run runs one real node of a cluster whose server is another process,
// until ctx ends, and takes away what it made on the machine. It waits for a
// server that does not answer yet.
func Run(ctx context.Context, config Config, o Options) error {
	o = o.complete()
	config, err := config.complete()
	if err != nil {
		return err
	}
	if err := host.Check(); err != nil {
		return err
	}
	dir, err := filepath.Abs(config.DataDir)
	if err != nil {
		return fmt.Errorf("finding the data directory: %w", err)
	}
	config.DataDir = dir
	lock, err := datadir.Take(dir)
	if err != nil {
		return err
	}
	defer lock.Release()
	listener, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return fmt.Errorf("listening for the server: %w", err)
	}
	defer listener.Close()
	server, err := url.Parse(config.Server)
	if err != nil {
		return fmt.Errorf("reading the server's URL: %w", err)
	}
	joiner := &Joiner{Server: server, Token: config.Token, Node: config.Node.Name, Address: config.Node.Address, Dir: dir, Clock: o.Clock}
	o.Progress("joining " + config.Server + " as node " + config.Node.Name)
	member, err := joiner.JoinPatiently(ctx, o.Progress)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	return runMember(ctx, config, o, joiner, member, listener)
}

// runMember runs the node of an agent that has joined.
func runMember(ctx context.Context, config Config, o Options, joiner *Joiner, member *Membership, listener net.Listener) (err error) {
	remote := NewRemote(config.Server, member)
	defer remote.Dialer.CloseAll()
	mgr, err := remote.manager(ctx, config.Node.Name, o)
	if err != nil {
		return err
	}
	limits, err := connections.ProcessLimits()
	if err != nil {
		return err
	}
	api := &API{Listener: listener, Remote: remote, Clients: member, Connections: connections.New(limits, o.Clock, func(err error) { o.Logger.Error(err, "the node's API") })}
	shared, err := memberHost(config, o, remote, mgr, member, api)
	if err != nil {
		return err
	}
	own := &node.Node{Host: shared, Name: config.Node.Name, PodCIDR: member.NodePodCIDR}
	for name, part := range map[string]manager.Runnable{
		"node": own, "API of the node": api,
		"renewal of certificates": &renewal{joiner: joiner, remote: remote, expires: member.expires, options: o},
	} {
		if err := mgr.Add(part); err != nil {
			return fmt.Errorf("adding the %s: %w", name, err)
		}
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), node.StopTimeout)
		defer cancel()
		own.Cleanup(clean)
		err = errors.Join(err, node.Remove(clean, shared.ID))
	}()
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		isOwn := func(n *corev1.Node) bool { return n.Name == own.Name }
		if node.WaitReady(watching, mgr.GetCache(), isOwn, 1, func(int) {}) == nil { // else the manager returns the reason
			o.Progress("node " + own.Name + " is ready")
		}
	}()
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running the agent: %w", err)
	}
	return nil
}

// memberHost returns the process of an agent, for its node.
func memberHost(config Config, o Options, remote *Remote, mgr manager.Manager, member *Membership, api *API) (*node.Host, error) {
	live, err := client.NewWithWatch(remote.Config, client.Options{Scheme: apis.NewClientScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return nil, fmt.Errorf("making the node's client: %w", err)
	}
	ports, err := node.OpenPorts(o.Clock, o.Logger)
	if err != nil {
		return nil, err
	}
	return &node.Host{
		ID: datadir.ID(config.DataDir), Dir: config.DataDir, Node: config.Node,
		Network: v1alpha1.Network{ServiceCIDR: member.ServiceCIDR, PodCIDR: member.PodCIDR, ClusterDomain: member.ClusterDomain, ClusterDNS: member.ClusterDNS, MTU: config.MTU},
		Manager: mgr, Live: live, Clock: o.Clock, Log: o.Logger, Progress: o.Progress,
		Programs: node.Programs(filepath.Join(config.DataDir, "bin"), config.Node.BinDir, o.Progress), Serve: api.Set, Port: api.Port(), Ports: ports,
	}, nil
}
