//go:build linux

package nft

import (
	"sigs.k8s.io/knftables"
)

// baseChain is a chain attached to a hook.
type baseChain struct {
	name     string
	kind     knftables.BaseChainType
	hook     knftables.BaseChainHook
	priority knftables.BaseChainPriority
	rules    []string
}

// Priorities around destination NAT (-100). They are numbers because nft
// accepts the names at some hooks only.
const (
	beforeDNAT knftables.BaseChainPriority = "-110"
	atDNAT     knftables.BaseChainPriority = "-100"
	afterDNAT  knftables.BaseChainPriority = "-90"
	atSNAT     knftables.BaseChainPriority = "100"
)

func baseChains() []baseChain {
	checks := []string{"ct state new jump no-endpoints-check", "ct state new jump cluster-ips-check"}
	return []baseChain{
		{"nat-prerouting", knftables.NATType, knftables.PreroutingHook, atDNAT, []string{"jump services"}},
		{"nat-output", knftables.NATType, knftables.OutputHook, atDNAT, []string{"jump services"}},
		{"nat-postrouting", knftables.NATType, knftables.PostroutingHook, atSNAT, []string{"jump masquerading"}},
		{"filter-prerouting", knftables.FilterType, knftables.PreroutingHook, beforeDNAT, []string{"ct state new jump firewall-check"}},
		{"filter-output-before-dnat", knftables.FilterType, knftables.OutputHook, beforeDNAT, []string{"ct state new jump firewall-check"}},
		{"filter-input", knftables.FilterType, knftables.InputHook, afterDNAT, checks},
		{"filter-forward", knftables.FilterType, knftables.ForwardHook, afterDNAT, checks},
		{"filter-output", knftables.FilterType, knftables.OutputHook, afterDNAT, checks},
	}
}

// masqueradeMark is the packet mark that upstream's proxies use for the same
// purpose; it lives between DNAT and SNAT of one packet only.
const masqueradeMark = "0x4000"

// sharedChains returns the chains that the base chains and rules of Services jump to.
func (w words) sharedChains() []baseChain {
	lookup := w.ip + " daddr . meta l4proto . th dport vmap @"
	ports := w.ip + " daddr @" + setNodePortIPs + " meta l4proto . th dport vmap @"
	return []baseChain{
		{name: chainMark, rules: []string{"mark set mark or " + masqueradeMark}},
		// A reset is quicker than ICMP, which the kernel sends once a second.
		{name: chainReject, rules: []string{"meta l4proto tcp reject with tcp reset", "reject"}},
		{name: "masquerading", rules: []string{
			"mark and " + masqueradeMark + " == 0 return",
			"mark set mark xor " + masqueradeMark,
			"masquerade fully-random",
		}},
		{name: "firewall-check", rules: []string{lookup + mapFirewall}},
		{name: "no-endpoints-check", rules: []string{lookup + mapNoEndpoints, ports + mapNoEndpointPorts}},
		{name: "cluster-ips-check", rules: []string{w.ip + " daddr @" + setClusterIPs + " goto " + chainReject}},
		{name: "services", rules: []string{lookup + mapServiceIPs, ports + mapServiceNodePorts}},
	}
}

// maps lists the table's verdict maps with their types.
func (w words) maps() []knftables.Map {
	byIP := w.addrType + " . inet_proto . inet_service : verdict"
	byPort := "inet_proto . inet_service : verdict"
	return []knftables.Map{
		{Name: mapServiceIPs, Type: byIP},
		{Name: mapServiceNodePorts, Type: byPort},
		{Name: mapNoEndpoints, Type: byIP},
		{Name: mapNoEndpointPorts, Type: byPort},
		{Name: mapFirewall, Type: byIP},
	}
}

// addBase writes an empty table's frame.
func addBase(tx *knftables.Transaction, cfg *Config) {
	w := cfg.words()
	for _, m := range w.maps() {
		tx.Add(&m)
	}
	tx.Add(&knftables.Set{Name: setClusterIPs, Type: w.addrType})
	tx.Add(&knftables.Set{Name: setNodePortIPs, Type: w.addrType})
	for _, ip := range cfg.NodePortIPs {
		tx.Add(&knftables.Element{Set: setNodePortIPs, Key: []string{ip.String()}})
	}
	for _, c := range w.sharedChains() {
		tx.Add(&knftables.Chain{Name: c.name})
	}
	for _, c := range baseChains() {
		tx.Add(&knftables.Chain{Name: c.name, Type: &c.kind, Hook: &c.hook, Priority: &c.priority})
	}
	for _, c := range append(w.sharedChains(), baseChains()...) {
		for _, rule := range c.rules {
			tx.Add(&knftables.Rule{Chain: c.name, Rule: rule})
		}
	}
}
