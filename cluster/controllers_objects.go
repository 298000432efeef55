package cluster

import (
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/coracle-k8s/coracle/controllers/servicecidr"
	"github.com/coracle-k8s/coracle/controllers/serviceips"
	"github.com/coracle-k8s/coracle/controllers/volumeprotection"
)

// networkControllers take care of the addresses of Services.
func (c *Cluster) networkControllers(mgr manager.Manager) map[string]setup {
	kube, clk := mgr.GetClient(), c.options.clock
	return map[string]setup{
		"service CIDR":      servicecidr.New(kube, clk),
		"cluster IP repair": serviceips.New(kube, mgr.GetAPIReader(), clk, mgr.GetEventRecorderFor(serviceips.Name)),
	}
}

// volumeControllers take care of volumes and claims.
func (c *Cluster) volumeControllers(mgr manager.Manager) map[string]setup {
	kube := mgr.GetClient()
	return map[string]setup{
		"claim protection":                   volumeprotection.NewClaims(kube, mgr.GetAPIReader()),
		"volume protection":                  volumeprotection.NewVolumes(kube),
		"volume attributes class protection": volumeprotection.NewAttributesClasses(kube),
	}
}
