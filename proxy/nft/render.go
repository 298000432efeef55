//go:build linux

package nft

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/knftables"

	"github.com/coracle-k8s/coracle/proxy/model"
)

// Config holds the settings that all rules of a table share.
type Config struct {
	// Family is IPv4 or IPv6.
	Family corev1.IPFamily
	// ClusterCIDRs are the pods' ranges; traffic to a ClusterIP from elsewhere is
	// masqueraded so that the answers come back this way. Empty: nothing is taken
	// for traffic from elsewhere.
	ClusterCIDRs []netip.Prefix
	// NodePortIPs are the node's addresses that answer on node ports.
	NodePortIPs []netip.Addr
}

// words are the family's own in rules.
type words struct {
	ip, addrType string
	nft          knftables.Family
}

func (c *Config) words() words {
	if c.Family == corev1.IPv6Protocol {
		return words{"ip6", "ipv6_addr", knftables.IPv6Family}
	}
	return words{"ip", "ipv4_addr", knftables.IPv4Family}
}

// The names of the table's maps and sets.
const (
	mapServiceIPs       = "service-ips"
	mapServiceNodePorts = "service-nodeports"
	mapNoEndpoints      = "no-endpoint-services"
	mapNoEndpointPorts  = "no-endpoint-nodeports"
	mapFirewall         = "firewall-ips"
	setClusterIPs       = "cluster-ips"
	setNodePortIPs      = "nodeport-ips"
)

// The names of the chains that rules of Services use.
const (
	chainMark   = "mark-for-masquerade"
	chainReject = "reject-chain"
)

// Render returns a Service's part of the table.
func Render(svc *model.Service, cfg *Config) *Fragment {
	f := newFragment()
	for i := range svc.Ports {
		r := renderer{cfg: cfg, words: cfg.words(), f: f, port: &svc.Ports[i]}
		r.protocol = strings.ToLower(string(r.port.Protocol))
		r.id = identity(svc.Name.String(), r.protocol, r.port)
		r.render()
	}
	return f
}

// identity names a port in chains: readable, and unique by a hash where a
// readable name could be ambiguous.
func identity(service, protocol string, p *model.Port) string {
	port := p.Name
	if port == "" {
		port = strconv.Itoa(int(p.Port))
	}
	readable := service + "/" + protocol + "/" + port
	sum := sha256.Sum256([]byte(readable))
	return base32.StdEncoding.EncodeToString(sum[:])[:8] + "-" + readable
}

// renderer renders one port.
type renderer struct {
	cfg      *Config
	words    words
	f        *Fragment
	port     *model.Port
	protocol string
	id       string
}

func (r *renderer) render() {
	p := r.port
	r.f.elements[element{setClusterIPs, p.ClusterIP.String()}] = ""
	usesCluster := !p.InternalLocal || p.External()
	usesLocal := p.InternalLocal || (p.External() && p.ExternalLocal)
	endpoints := map[netip.AddrPort]bool{}
	if usesCluster && len(p.Cluster) > 0 {
		r.balance("service-"+r.id, p.Cluster, endpoints)
	}
	if usesLocal && len(p.Local) > 0 {
		r.balance("local-"+r.id, p.Local, endpoints)
	}
	for e := range endpoints {
		r.endpoint(e)
	}
	r.internal()
	if p.External() {
		r.external()
	}
}

// balance makes a chain that spreads over the endpoints.
func (r *renderer) balance(chain string, to []netip.AddrPort, used map[netip.AddrPort]bool) {
	p := r.port
	var rules []string
	if cidrs := prefixes(r.cfg.ClusterCIDRs); cidrs != "" {
		rules = append(rules, fmt.Sprintf("%s daddr %s %s dport %d %s saddr != %s jump %s",
			r.words.ip, p.ClusterIP, r.protocol, p.Port, r.words.ip, cidrs, chainMark))
	}
	for _, e := range to {
		used[e] = true
		if p.AffinitySeconds > 0 {
			rules = append(rules, fmt.Sprintf("%s saddr @%s goto %s", r.words.ip, r.affinitySet(e), r.endpointChain(e)))
		}
	}
	if len(to) == 1 {
		rules = append(rules, "goto "+r.endpointChain(to[0]))
	} else {
		verdicts := make([]string, len(to))
		for i, e := range to {
			verdicts[i] = fmt.Sprintf("%d : goto %s", i, r.endpointChain(e))
		}
		rules = append(rules, fmt.Sprintf("numgen random mod %d vmap { %s }", len(to), strings.Join(verdicts, " , ")))
	}
	r.f.chains[chain] = rules
}

func (r *renderer) endpointChain(e netip.AddrPort) string {
	return fmt.Sprintf("endpoint-%s__%s/%d", r.id, e.Addr(), e.Port())
}

// affinitySet has the timeout in its name because a set's cannot be changed.
func (r *renderer) affinitySet(e netip.AddrPort) string {
	return fmt.Sprintf("affinity-%s__%s/%d/%d", r.id, e.Addr(), e.Port(), r.port.AffinitySeconds)
}

func (r *renderer) endpoint(e netip.AddrPort) {
	// A pod that reaches itself through its Service would get an answer from
	// its own address, which it does not expect.
	rules := []string{fmt.Sprintf("%s saddr %s jump %s", r.words.ip, e.Addr(), chainMark)}
	if r.port.AffinitySeconds > 0 {
		set := r.affinitySet(e)
		r.f.affinity[set] = time.Duration(r.port.AffinitySeconds) * time.Second
		rules = append(rules, fmt.Sprintf("update @%s { %s saddr }", set, r.words.ip))
	}
	rules = append(rules, fmt.Sprintf("meta l4proto %s dnat to %s", r.protocol, e))
	r.f.chains[r.endpointChain(e)] = rules
}

func (r *renderer) key(ip netip.Addr) string {
	return fmt.Sprintf("%s . %s . %d", ip, r.protocol, r.port.Port)
}

// internal dispatches the ClusterIP.
func (r *renderer) internal() {
	p := r.port
	chain, endpoints, missing := "service-"+r.id, p.Cluster, "goto "+chainReject
	if p.InternalLocal {
		chain, endpoints = "local-"+r.id, p.Local
		if len(p.Cluster) > 0 {
			// Others have endpoints; this node must stay silent.
			missing = "drop"
		}
	}
	if len(endpoints) > 0 {
		r.f.elements[element{mapServiceIPs, r.key(p.ClusterIP)}] = "goto " + chain
	} else {
		r.f.elements[element{mapNoEndpoints, r.key(p.ClusterIP)}] = missing
	}
}

// external dispatches external IPs, load balancer addresses and the node port.
func (r *renderer) external() {
	p := r.port
	verdict, missing := "", ""
	if len(p.Cluster) > 0 {
		verdict = "goto external-" + r.id
		r.f.chains["external-"+r.id] = r.externalRules()
	}
	switch {
	case len(p.Cluster) == 0 && len(p.Local) == 0:
		missing = "goto " + chainReject
	case p.ExternalLocal && len(p.Local) == 0:
		// A load balancer sends only to nodes with endpoints; what comes
		// nevertheless is not to be answered.
		missing = "drop"
	}
	set := func(container, key, verdict string) {
		if verdict != "" {
			r.f.elements[element{container, key}] = verdict
		}
	}
	for _, ip := range append(append([]netip.Addr(nil), p.ExternalIPs...), p.LoadBalancerIPs...) {
		set(mapServiceIPs, r.key(ip), verdict)
		set(mapNoEndpoints, r.key(ip), missing)
	}
	if p.NodePort != 0 {
		key := fmt.Sprintf("%s . %d", r.protocol, p.NodePort)
		set(mapServiceNodePorts, key, verdict)
		set(mapNoEndpointPorts, key, missing)
	}
	if len(p.SourceRanges) > 0 && len(p.LoadBalancerIPs) > 0 {
		chain := "firewall-" + r.id
		r.f.chains[chain] = []string{fmt.Sprintf("%s saddr != %s drop", r.words.ip, prefixes(p.SourceRanges))}
		for _, ip := range p.LoadBalancerIPs {
			r.f.elements[element{mapFirewall, r.key(ip)}] = "goto " + chain
		}
	}
}

func (r *renderer) externalRules() []string {
	service := "goto service-" + r.id
	if !r.port.ExternalLocal {
		return []string{"jump " + chainMark, service}
	}
	var rules []string
	if cidrs := prefixes(r.cfg.ClusterCIDRs); cidrs != "" {
		// Pods and the node itself are inside: the policy is not about them.
		rules = append(rules, fmt.Sprintf("%s saddr %s %s", r.words.ip, cidrs, service))
	}
	rules = append(rules, "fib saddr type local jump "+chainMark, "fib saddr type local "+service)
	if len(r.port.Local) > 0 {
		rules = append(rules, "goto local-"+r.id)
	}
	return rules
}

// prefixes writes one range as itself and several as a set.
func prefixes(list []netip.Prefix) string {
	parts := make([]string, len(list))
	for i, p := range list {
		parts[i] = p.String()
	}
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	return "{ " + strings.Join(parts, " , ") + " }"
}
