package cluster

import (
	"context"
	"net/netip"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	cloudprovider "k8s.io/cloud-provider"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/controllers/serviceloadbalancer/nodeaddress"
)

// loadBalancer makes load balancers: the cloud's if it has any, else the built-in
// one unless that is turned off.
func (c *Cluster) loadBalancer(mgr manager.Manager) cloudprovider.LoadBalancer {
	if c.options.cloud != nil {
		if balancer, ok := c.options.cloud.LoadBalancer(); ok {
			return balancer
		}
	}
	if c.config.Network.LoadBalancer == v1alpha1.LoadBalancerNone {
		return nil
	}
	// The server's port is taken at any address a node may have.
	server := netip.AddrPortFrom(netip.IPv4Unspecified(), c.address.Port())
	return nodeaddress.New(nodeaddress.Config{Cache: mgr.GetCache(), Reserved: []netip.AddrPort{server}})
}

// initializeCloud gives the cloud its clients, before its first call. All that
// the cloud starts ends with ctx.
func (c *Cluster) initializeCloud(ctx context.Context) {
	cloud := c.options.cloud
	if cloud == nil {
		return
	}
	clients := cloudClients{c.server.RESTConfig()}
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
