package podconfig

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// HostsFile returns the content of a pod's /etc/hosts. Host network pods get
// the host's file (content of host) with their aliases.
func HostsFile(pod *corev1.Pod, ips []string, host []byte, hostname, fqdn string) []byte {
	var out strings.Builder
	if pod.Spec.HostNetwork {
		out.WriteString("# Kubernetes-managed hosts file (host network).\n")
		out.Write(host)
	} else {
		out.WriteString("# Kubernetes-managed hosts file.\n")
		out.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
		out.WriteString("fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n")
		for _, ip := range ips {
			if fqdn != "" {
				fmt.Fprintf(&out, "%s\t%s\t%s\n", ip, fqdn, hostname)
			} else {
				fmt.Fprintf(&out, "%s\t%s\n", ip, hostname)
			}
		}
	}
	if len(pod.Spec.HostAliases) > 0 {
		out.WriteString("\n# Entries added by HostAliases.\n")
		for _, a := range pod.Spec.HostAliases {
			fmt.Fprintf(&out, "%s\t%s\n", a.IP, strings.Join(a.Hostnames, "\t"))
		}
	}
	return []byte(out.String())
}
