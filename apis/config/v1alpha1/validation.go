package v1alpha1

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/component-helpers/node/util/sysctl"

	"github.com/coracle-k8s/coracle/apis/config/features"
)

// Validate checks a defaulted configuration.
func (c *Cluster) Validate() field.ErrorList {
	var errs field.ErrorList
	if c.APIVersion != APIVersion {
		errs = append(errs, field.NotSupported(field.NewPath("apiVersion"), c.APIVersion, []string{APIVersion}))
	}
	if c.Kind != Kind {
		errs = append(errs, field.NotSupported(field.NewPath("kind"), c.Kind, []string{Kind}))
	}
	if host, port, err := net.SplitHostPort(c.Listen); err != nil {
		errs = append(errs, field.Invalid(field.NewPath("listen"), c.Listen, "must be ADDRESS:PORT"))
	} else {
		if host != "" && net.ParseIP(host) == nil && host != "localhost" {
			errs = append(errs, field.Invalid(field.NewPath("listen"), c.Listen, "the address must be an IP address"))
		}
		if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			errs = append(errs, field.Invalid(field.NewPath("listen"), c.Listen, "the port must be between 0 and 65535"))
		}
	}
	if *c.Nodes < 0 || *c.Nodes > 200 {
		errs = append(errs, field.Invalid(field.NewPath("nodes"), *c.Nodes, "must be between 0 and 200"))
	}
	if c.SimulatedNodes < 0 || c.SimulatedNodes > 65535 {
		errs = append(errs, field.Invalid(field.NewPath("simulatedNodes"), c.SimulatedNodes, "must be between 0 and 65535"))
	}
	if ip, err := netip.ParseAddr(c.AdvertiseAddress); c.AdvertiseAddress != "" && (err != nil || ip.IsLoopback() || ip.IsUnspecified()) {
		errs = append(errs, field.Invalid(field.NewPath("advertiseAddress"), c.AdvertiseAddress, "must be an IP address that others reach"))
	}
	if c.Node.ContainerRuntimeEndpoint != "" && *c.Nodes > 1 {
		errs = append(errs, field.Forbidden(field.NewPath("node", "containerRuntimeEndpoint"), "one runtime serves one node: set nodes to 1"))
	}
	errs = append(errs, c.Node.validateSysctls(field.NewPath("node", "allowedUnsafeSysctls"))...)
	if c.Node.Name != "" {
		for _, msg := range validation.IsDNS1123Subdomain(c.Node.Name) {
			errs = append(errs, field.Invalid(field.NewPath("node", "name"), c.Node.Name, msg))
		}
	}
	errs = append(errs, c.Controllers.validate(field.NewPath("controllers"))...)
	for i, proxy := range c.Agents.Proxies {
		if _, err := parsePrefix(proxy); err != nil {
			errs = append(errs, field.Invalid(field.NewPath("agents", "proxies").Index(i), proxy, "must be an IP address, or a range such as 10.0.0.0/24, but not every address"))
		}
	}
	if _, err := features.New(c.FeatureGates); len(c.FeatureGates) > 0 && err != nil {
		errs = append(errs, field.Invalid(field.NewPath("featureGates"), field.OmitValueType{}, err.Error()))
	}
	errs = append(errs, c.APIServer.Validate(field.NewPath("apiServer"))...)
	errs = append(errs, c.Storage.validate(field.NewPath("storage"))...)
	errs = append(errs, c.LeaderElection.validate(field.NewPath("leaderElection"))...)
	return append(errs, c.Network.validate(field.NewPath("network"), *c.Nodes > 0)...)
}

// retryJitter is by how much client-go stretches the time between tries at most.
const retryJitter = 1.2

func (l *LeaderElection) validate(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	lease, renew, retry := l.LeaseDuration.Duration, l.RenewDeadline.Duration, l.RetryPeriod.Duration
	if lease < time.Second {
		errs = append(errs, field.Invalid(path.Child("leaseDuration"), lease.String(), "must be at least 1s"))
	}
	if renew <= 0 || renew >= lease {
		errs = append(errs, field.Invalid(path.Child("renewDeadline"), renew.String(), "must be positive and shorter than leaseDuration"))
	}
	if retry <= 0 || time.Duration(retryJitter*float64(retry)) >= renew {
		errs = append(errs, field.Invalid(path.Child("retryPeriod"), retry.String(), "must be positive, and 1.2 times it shorter than renewDeadline"))
	}
	return errs
}

func (s *Storage) validate(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, e := range s.Endpoints {
		if u, err := url.Parse(e); err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "unix", "unixs"}, u.Scheme) {
			errs = append(errs, field.Invalid(path.Child("endpoints").Index(i), e, "must be a URL such as https://10.0.0.1:2379"))
		}
	}
	if len(s.Endpoints) > 0 && s.UnsafeNoFsync {
		errs = append(errs, field.Forbidden(path.Child("unsafeNoFsync"), "etcd runs elsewhere"))
	}
	if len(s.Endpoints) == 0 && s.CAFile+s.CertFile+s.KeyFile != "" {
		errs = append(errs, field.Required(path.Child("endpoints"), "files for TLS are for an etcd elsewhere"))
	}
	return append(errs, pair(path, s.CertFile, s.KeyFile)...)
}

// validate checks the network of a cluster with or without real nodes, whose
// proxies have IPv4 alone.
func (n *Network) validate(path *field.Path, realNodes bool) field.ErrorList {
	var errs field.ErrorList
	ranges := map[string]netip.Prefix{}
	for _, r := range []struct {
		name, value string
		minBits     int
	}{{"serviceCIDR", n.ServiceCIDR, 12}, {"podCIDR", n.PodCIDR, 8}, {"linkCIDR", n.LinkCIDR, 8}} {
		p, err := netip.ParsePrefix(r.value)
		if err == nil && r.name == "serviceCIDR" && p.Addr().Is6() {
			errs = append(errs, validateIPv6Services(path.Child(r.name), p, realNodes)...)
			continue
		}
		if err != nil || p != p.Masked() || !p.Addr().Is4() {
			errs = append(errs, field.Invalid(path.Child(r.name), r.value, "must be an IPv4 range such as 10.0.0.0/16"))
			continue
		}
		if p.Bits() < r.minBits || p.Bits() > 28 {
			errs = append(errs, field.Invalid(path.Child(r.name), r.value, fmt.Sprintf("the prefix length must be between %d and 28", r.minBits)))
		}
		for other, q := range ranges {
			if p.Overlaps(q) {
				errs = append(errs, field.Invalid(path.Child(r.name), r.value, "must not overlap "+other))
			}
		}
		ranges[r.name] = p
	}
	if p, ok := ranges["podCIDR"]; ok && (int(n.NodeCIDRMaskSize) < p.Bits() || int(n.NodeCIDRMaskSize) > min(p.Bits()+16, 30)) {
		errs = append(errs, field.Invalid(path.Child("nodeCIDRMaskSize"), n.NodeCIDRMaskSize,
			fmt.Sprintf("must be between %d and %d for podCIDR %s", p.Bits(), min(p.Bits()+16, 30), p)))
	}
	if _, _, err := n.PortRange(); err != nil {
		errs = append(errs, field.Invalid(path.Child("nodePorts"), n.NodePorts, err.Error()))
	}
	if ways := []LoadBalancer{LoadBalancerNodeAddress, LoadBalancerNone}; !slices.Contains(ways, n.LoadBalancer) {
		errs = append(errs, field.NotSupported(path.Child("loadBalancer"), n.LoadBalancer, ways))
	}
	for i, address := range n.ClusterDNS {
		if net.ParseIP(address) == nil {
			errs = append(errs, field.Invalid(path.Child("clusterDNS").Index(i), address, "must be an IP address"))
		}
	}
	for _, msg := range validation.IsDNS1123Subdomain(n.ClusterDomain) {
		errs = append(errs, field.Invalid(path.Child("clusterDomain"), n.ClusterDomain, msg))
	}
	return errs
}

// validateIPv6Services checks a range of ClusterIPs in IPv6.
func validateIPv6Services(path *field.Path, p netip.Prefix, realNodes bool) field.ErrorList {
	switch {
	case realNodes:
		return field.ErrorList{field.Invalid(path, p.String(), "real nodes have IPv4 alone: set nodes to 0, or choose an IPv4 range")}
	case p != p.Masked() || p.Bits() < 64 || p.Bits() > 124:
		return field.ErrorList{field.Invalid(path, p.String(), "must be an IPv6 range whose prefix length is between 64 and 124")}
	}
	return nil
}

// ProxyRanges returns Proxies, an address as a range of one. They must be valid.
func (a *Agents) ProxyRanges() []netip.Prefix {
	ranges := make([]netip.Prefix, 0, len(a.Proxies))
	for _, proxy := range a.Proxies {
		if p, err := parsePrefix(proxy); err == nil {
			ranges = append(ranges, p)
		}
	}
	return ranges
}

// parsePrefix reads an address or a range that is not everything.
func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && !a.IsUnspecified() && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err == nil && (p != p.Masked() || p.Bits() == 0) {
		err = fmt.Errorf("%s is not a range of addresses", text)
	}
	return p, err
}

// DNSAddress returns the ClusterIP of the built-in DNS, and invalid if ClusterDNS
// names other servers. ServiceCIDR must be valid.
func (n *Network) DNSAddress() netip.Addr {
	const tenth = 10
	cidr, err := netip.ParsePrefix(n.ServiceCIDR)
	if err != nil || len(n.ClusterDNS) > 0 {
		return netip.Addr{}
	}
	address := cidr.Masked().Addr()
	for range tenth {
		address = address.Next()
	}
	return address
}

// DNSServers returns the DNS servers of pods with dnsPolicy ClusterFirst.
func (n *Network) DNSServers() []string {
	if own := n.DNSAddress(); own.IsValid() {
		return []string{own.String()}
	}
	return n.ClusterDNS
}

// validateSysctls wants names or prefixes of what every pod has of its own.
func (n *Node) validateSysctls(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, name := range n.AllowedUnsafeSysctls {
		if ns, _, _ := sysctl.GetNamespace(name); ns == sysctl.UnknownNamespace {
			errs = append(errs, field.Invalid(path.Index(i), name, "is not known to be namespaced"))
		}
	}
	return errs
}

// PortRange returns NodePorts as its first port and the number of ports.
func (n *Network) PortRange() (base, size int, err error) {
	first, last, ok := strings.Cut(n.NodePorts, "-")
	base, err1 := strconv.Atoi(first)
	end, err2 := strconv.Atoi(last)
	if !ok || err1 != nil || err2 != nil || base < 1 || end > 65535 || end < base {
		return 0, 0, fmt.Errorf("must be FIRST-LAST, for example 30000-32767")
	}
	return base, end - base + 1, nil
}
