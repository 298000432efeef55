package cluster

import (
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/coracle-k8s/coracle/controllers/attachdetach"
	"github.com/coracle-k8s/coracle/controllers/clusterauthentication"
	"github.com/coracle-k8s/coracle/controllers/clusterdns"
	"github.com/coracle-k8s/coracle/controllers/ephemeralvolume"
	"github.com/coracle-k8s/coracle/controllers/localpath"
	"github.com/coracle-k8s/coracle/controllers/nodeports"
	"github.com/coracle-k8s/coracle/controllers/persistentvolume"
	"github.com/coracle-k8s/coracle/controllers/serviceaccount/legacytokens"
	"github.com/coracle-k8s/coracle/controllers/servicecidr"
	"github.com/coracle-k8s/coracle/controllers/serviceips"
	"github.com/coracle-k8s/coracle/controllers/serviceloadbalancer"
	"github.com/coracle-k8s/coracle/controllers/volumeexpansion"
	"github.com/coracle-k8s/coracle/controllers/volumeprotection"
)

// serverControllers returns the controllers that upstream's kube-apiserver runs
// itself. They cannot be turned off.
func (c *Cluster) serverControllers(mgr manager.Manager) map[string]setup {
	kube, clk := mgr.GetClient(), c.options.clock
	base, size, _ := c.config.Network.PortRange() // Validate checked it
	return map[string]setup{
		clusterauthentication.Name: clusterauthentication.New(kube, func() map[string]string { return c.proxyAuthentication }),
		legacytokens.TrackerName:   legacytokens.NewTracker(kube, clk),
		serviceips.Name:            serviceips.New(kube, mgr.GetAPIReader(), clk, mgr.GetEventRecorder(serviceips.Name)),
		nodeports.Name:             nodeports.New(kube, mgr.GetEventRecorder(nodeports.Name), nodeports.Range{Base: base, Size: size}),
	}
}

// networkControllers take care of the addresses of Services.
func (c *Cluster) networkControllers(mgr manager.Manager) map[string]setup {
	kube, clk := mgr.GetClient(), c.options.clock
	parts := map[string]setup{"service-cidr-controller": servicecidr.New(kube, clk)}
	if address := c.config.Network.DNSAddress(); address.IsValid() {
		parts["cluster-dns-controller"] = clusterdns.New(kube, address.String())
	}
	if balancer := c.loadBalancer(mgr); balancer != nil {
		parts["service-lb-controller"] = serviceloadbalancer.New(serviceloadbalancer.Config{
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
		"persistentvolume-attach-detach-controller": attachdetach.New(kube, mgr.GetAPIReader(), c.options.clock, recorder("attachdetach-controller")),
		"persistentvolume-expander-controller":      volumeexpansion.New(kube, recorder("volume_expand"), localpath.Provisioner),
		"persistentvolume-binder-controller":        persistentvolume.New(kube, mgr.GetAPIReader(), recorder("persistentvolume-controller")),
		"ephemeral-volume-controller":               ephemeralvolume.New(kube, recorder("ephemeral_volume")),
		"local-path-provisioner": localpath.New(localpath.Config{
			Client: kube, Recorder: recorder(localpath.Provisioner), Clock: c.options.clock, Host: localDirs{c}, Dir: dir,
			Removers: *c.config.LeaderElection.LeaderElect,
		}),
		"persistentvolumeclaim-protection-controller": volumeprotection.NewClaims(kube, mgr.GetAPIReader(), c.options.clock),
		"persistentvolume-protection-controller":      volumeprotection.NewVolumes(kube),
		"volumeattributesclass-protection-controller": volumeprotection.NewAttributesClasses(kube),
	}, nil
}
