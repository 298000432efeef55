//go:build linux

package proxy

import (
	"maps"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/coracle-k8s/coracle/proxy/model"
)

// Flow is one tracked UDP flow: its destination and the endpoint that answers.
type Flow struct {
	Destination, Answerer netip.AddrPort
}

// Conntrack deletes tracked UDP flows. UDP has no end that the kernel could see:
// as long as a client sends, its flow keeps going to an endpoint that is gone.
type Conntrack interface {
	// DeleteUDP deletes the flows that match and returns how many.
	DeleteUDP(match func(Flow) bool) (int, error)
}

// udpFlows are a Service's UDP destinations with the endpoints that may answer.
type udpFlows struct {
	serving   map[netip.AddrPort]map[netip.AddrPort]bool
	nodePorts map[uint16]map[netip.AddrPort]bool
}

func flowsOf(svc *model.Service) udpFlows {
	f := udpFlows{map[netip.AddrPort]map[netip.AddrPort]bool{}, map[uint16]map[netip.AddrPort]bool{}}
	if svc == nil {
		return f
	}
	for i := range svc.Ports {
		p := &svc.Ports[i]
		if p.Protocol != corev1.ProtocolUDP {
			continue
		}
		serving := map[netip.AddrPort]bool{}
		for _, e := range p.Serving {
			serving[e] = true
		}
		for _, ip := range append(append([]netip.Addr{p.ClusterIP}, p.ExternalIPs...), p.LoadBalancerIPs...) {
			f.serving[netip.AddrPortFrom(ip, p.Port)] = serving
		}
		if p.NodePort != 0 {
			f.nodePorts[p.NodePort] = serving
		}
	}
	return f
}

// forgetStale deletes flows to endpoints that no longer serve the changed
// Services, and flows that began while a Service had no endpoint.
func (p *Proxier) forgetStale(changes map[types.NamespacedName]*model.Service) {
	if p.cfg.Conntrack == nil {
		return
	}
	stale := udpFlows{map[netip.AddrPort]map[netip.AddrPort]bool{}, map[uint16]map[netip.AddrPort]bool{}}
	for name, svc := range changes {
		old, fresh := p.flows[name], flowsOf(svc)
		if len(fresh.serving) == 0 {
			delete(p.flows, name)
		} else {
			p.flows[name] = fresh
		}
		changedKeys(old.serving, fresh.serving, stale.serving)
		changedKeys(old.nodePorts, fresh.nodePorts, stale.nodePorts)
	}
	if len(stale.serving)+len(stale.nodePorts) == 0 {
		return
	}
	nodeIPs := map[string]bool{}
	for _, ip := range p.cfg.NodeIPs {
		nodeIPs[ip] = true
	}
	_, err := p.cfg.Conntrack.DeleteUDP(func(f Flow) bool {
		serving, ours := stale.serving[f.Destination]
		if !ours && nodeIPs[f.Destination.Addr().String()] {
			serving, ours = stale.nodePorts[f.Destination.Port()]
		}
		return ours && !serving[f.Answerer]
	})
	if err != nil {
		p.cfg.Log.Error(err, "Deleting stale UDP flows")
	}
}

// changedKeys puts into stale every destination whose servers changed, with the
// servers that it has now.
func changedKeys[K comparable](old, fresh, stale map[K]map[netip.AddrPort]bool) {
	for key, was := range old {
		if !maps.Equal(was, fresh[key]) {
			stale[key] = fresh[key]
		}
	}
	for key, now := range fresh {
		if was, existed := old[key]; !existed || !maps.Equal(was, now) {
			stale[key] = now
		}
	}
}
