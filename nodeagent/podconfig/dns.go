package podconfig

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ParseResolvConf reads a resolv.conf: name servers accumulate, of searches the
// last line counts, and of an option the last value.
func ParseResolvConf(b []byte) *runtimeapi.DNSConfig {
	out := &runtimeapi.DNSConfig{}
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			if len(fields) > 1 {
				out.Servers = append(out.Servers, fields[1])
			}
		case "search":
			out.Searches = nil
			for _, domain := range fields[1:] {
				if domain != "." {
					out.Searches = append(out.Searches, strings.TrimSuffix(domain, "."))
				}
			}
		case "options":
			for _, option := range fields[1:] {
				out.Options = withOption(out.Options, option)
			}
		}
	}
	return out
}

// DNS returns a pod's resolver config by its dnsPolicy and dnsConfig, see
// https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-s-dns-policy.
// missing reports that the policy asks for cluster DNS and there is none, so that the host's
// settings are used.
func DNS(pod *corev1.Pod, clusterDNS []string, domain string, host *runtimeapi.DNSConfig) (config *runtimeapi.DNSConfig, missing bool) {
	policy := pod.Spec.DNSPolicy
	if policy == corev1.DNSClusterFirst && pod.Spec.HostNetwork {
		policy = corev1.DNSDefault
	}
	if policy == corev1.DNSClusterFirstWithHostNet || policy == "" {
		policy = corev1.DNSClusterFirst
	}
	if policy == corev1.DNSClusterFirst && len(clusterDNS) == 0 {
		policy, missing = corev1.DNSDefault, true
	}
	config = &runtimeapi.DNSConfig{}
	switch policy {
	case corev1.DNSClusterFirst:
		config.Servers = slices.Clone(clusterDNS)
		config.Searches = unique([]string{pod.Namespace + ".svc." + domain, "svc." + domain, domain}, host.GetSearches())
		config.Options = []string{"ndots:5"}
	case corev1.DNSDefault:
		config.Servers = slices.Clone(host.GetServers())
		config.Searches = slices.Clone(host.GetSearches())
		config.Options = slices.Clone(host.GetOptions())
	}
	if extra := pod.Spec.DNSConfig; extra != nil {
		config.Servers = unique(config.Servers, extra.Nameservers)
		config.Searches = unique(config.Searches, extra.Searches)
		config.Options = mergeOptions(config.Options, extra.Options)
	}
	return config, missing
}

// unique appends what is not there yet.
func unique(list, more []string) []string {
	out := slices.Clone(list)
	for _, s := range more {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// mergeOptions overrides options by name.
func mergeOptions(list []string, more []corev1.PodDNSConfigOption) []string {
	out := slices.Clone(list)
	for _, o := range more {
		text := o.Name
		if o.Value != nil && *o.Value != "" {
			text += ":" + *o.Value
		}
		out = withOption(out, text)
	}
	return out
}

// withOption replaces the option of the same name, or appends it. list is changed.
func withOption(list []string, option string) []string {
	name, _, _ := strings.Cut(option, ":")
	i := slices.IndexFunc(list, func(s string) bool {
		other, _, _ := strings.Cut(s, ":")
		return other == name
	})
	if i < 0 {
		return append(list, option)
	}
	list[i] = option
	return list
}
