package controllers

import (
	"context"
	"net/netip"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	cloudprovider "k8s.io/cloud-provider"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/controllers/serviceloadbalancer/nodeaddress"
)

// loadBalancer makes load balancers: the cloud's if it has any, else the built-in
// one unless that is turned off.
func (t *term) loadBalancer() cloudprovider.LoadBalancer {
	if t.Cloud != nil {
		if balancer, ok := t.Cloud.LoadBalancer(); ok {
			return balancer
		}
	}
	if t.Cluster.Network.LoadBalancer == v1alpha1.LoadBalancerNone {
		return nil
	}
	// The server's port is taken at any address a node may have.
	server := netip.AddrPortFrom(netip.IPv4Unspecified(), t.Port)
	return nodeaddress.New(nodeaddress.Config{Cache: t.GetCache(), Reserved: []netip.AddrPort{server}})
}

// InitializeCloud gives a cloud its clients. It must be called before the controllers use
// the cloud. All that the cloud starts ends with ctx.
func InitializeCloud(ctx context.Context, cloud cloudprovider.Interface, server *rest.Config) {
	clients := cloudClients{server}
	cloud.Initialize(clients, ctx.Done())
	if user, ok := cloud.(cloudprovider.InformerUser); ok {
		factory := informers.NewSharedInformerFactory(clients.ClientOrDie("cloud-informers"), 0)
		user.SetInformers(factory)
		factory.StartWithContext(ctx)
	}
}

// cloudClients implements cloudprovider.ControllerClientBuilder.
type cloudClients struct{ config *rest.Config }

// Config implements cloudprovider.ControllerClientBuilder.
func (c cloudClients) Config(name string) (*rest.Config, error) { return c.ConfigOrDie(name), nil }

// ConfigOrDie implements cloudprovider.ControllerClientBuilder.
func (c cloudClients) ConfigOrDie(name string) *rest.Config {
	return rest.AddUserAgent(rest.CopyConfig(c.config), name)
}

// Client implements cloudprovider.ControllerClientBuilder.
func (c cloudClients) Client(name string) (kubernetes.Interface, error) {
	return kubernetes.NewForConfig(c.ConfigOrDie(name))
}

// ClientOrDie implements cloudprovider.ControllerClientBuilder.
func (c cloudClients) ClientOrDie(name string) kubernetes.Interface {
	return kubernetes.NewForConfigOrDie(c.ConfigOrDie(name))
}
