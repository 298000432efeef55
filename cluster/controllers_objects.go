package cluster

import (
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/coracle-k8s/coracle/controllers/attachdetach"
	"github.com/coracle-k8s/coracle/controllers/clusterdns"
	"github.com/coracle-k8s/coracle/controllers/ephemeralvolume"
	"github.com/coracle-k8s/coracle/controllers/localpath"
	"github.com/coracle-k8s/coracle/controllers/nodeports"
	"github.com/coracle-k8s/coracle/controllers/persistentvolume"
	"github.com/coracle-k8s/coracle/controllers/servicecidr"
	"github.com/coracle-k8s/coracle/controllers/serviceips"
	"github.com/coracle-k8s/coracle/controllers/serviceloadbalancer"
	"github.com/coracle-k8s/coracle/controllers/volumeexpansion"
	"github.com/coracle-k8s/coracle/controllers/volumeprotection"
)

// networkControllers take care of the addresses of Services.
func (c *Cluster) networkControllers(mgr manager.Manager) map[string]setup {
	kube, clk := mgr.GetClient(), c.options.clock
	base, size, _ := c.config.Network.PortRange() // Validate checked it
	parts := map[string]setup{
		"service CIDR":      servicecidr.New(kube, clk),
		"cluster IP repair": serviceips.New(kube, mgr.GetAPIReader(), clk, mgr.GetEventRecorderFor(serviceips.Name)),
		"node port repair":  nodeports.New(kube, mgr.GetEventRecorderFor(nodeports.Name), nodeports.Range{Base: base, Size: size}),
	}
	if address := c.config.Network.DNSAddress(); address.IsValid() {
		parts["cluster DNS"] = clusterdns.New(kube, address.String())
	}
	if balancer := c.loadBalancer(mgr); balancer != nil {
		parts["service load balancer"] = serviceloadbalancer.New(serviceloadbalancer.Config{
			Client: kube, Clock: clk, Recorder: mgr.GetEventRecorderFor("service-controller"), Balancer: balancer,
		})
	}
	return parts
}

// volumeControllers take care of volumes and claims.
func (c *Cluster) volumeControllers(mgr manager.Manager) (map[string]setup, error) {
	dir, err := localPathDir(c.config.DataDir)
	if err != nil {
		return nil, err
	}
	kube, recorder := mgr.GetClient(), mgr.GetEventRecorderFor
	return map[string]setup{
		"attach detach":    attachdetach.New(kube, mgr.GetAPIReader(), c.options.clock, recorder("attachdetach-controller")),
		"volume expansion": volumeexpansion.New(kube, recorder("volume_expand"), localpath.Provisioner),
		"volume binder":    persistentvolume.New(kube, mgr.GetAPIReader(), recorder("persistentvolume-controller")),
		"ephemeral volume": ephemeralvolume.New(kube, recorder("ephemeral_volume")),
		"local path": localpath.New(localpath.Config{
			Client: kube, Recorder: recorder(localpath.Provisioner), Clock: c.options.clock, Host: localDirs{c}, Dir: dir,
			Removers: *c.config.LeaderElection.LeaderElect,
		}),
		"claim protection":                   volumeprotection.NewClaims(kube, mgr.GetAPIReader(), c.options.clock),
		"volume protection":                  volumeprotection.NewVolumes(kube),
		"volume attributes class protection": volumeprotection.NewAttributesClasses(kube),
	}, nil
}
