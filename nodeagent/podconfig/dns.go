package podconfig

import (
	"bufio"
	"bytes"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// ParseResolvConf reads a resolv.conf.
func ParseResolvConf(b []byte) *runtimeapi.DNSConfig {
	out := &runtimeapi.DNSConfig{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || strings.HasPrefix(fields[0], "#") || strings.HasPrefix(fields[0], ";") {
			continue
		}
		switch fields[0] {
		case "nameserver":
			out.Servers = append(out.Servers, fields[1])
		case "search":
			out.Searches = fields[1:]
		case "options":
			out.Options = append(out.Options, fields[1:]...)
		}
	}
	return out
}

// DNS is a pod's resolver config by its dnsPolicy and dnsConfig, see
// https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-s-dns-policy.
// missing tells that the policy asks for cluster DNS and there is none, so that
// the host's settings are used.
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
		i := slices.IndexFunc(out, func(s string) bool {
			name, _, _ := strings.Cut(s, ":")
			return name == o.Name
		})
		if i >= 0 {
			out[i] = text
		} else {
			out = append(out, text)
		}
	}
	return out
}
