package admission

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/node/util/sysctl"

	"github.com/coracle-k8s/coracle/nodeagent/pods"
)

// safeSysctls do not reach beyond the pod that sets them, see
// https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/#safe-and-unsafe-sysctls.
var safeSysctls = []string{
	"kernel.shm_rmid_forced",
	"net.ipv4.ip_local_port_range",
	"net.ipv4.tcp_syncookies",
	"net.ipv4.ping_group_range",
	"net.ipv4.ip_unprivileged_port_start",
	"net.ipv4.ip_local_reserved_ports",
	"net.ipv4.tcp_keepalive_time",
	"net.ipv4.tcp_fin_timeout",
	"net.ipv4.tcp_keepalive_intvl",
	"net.ipv4.tcp_keepalive_probes",
	"net.ipv4.tcp_rmem",
	"net.ipv4.tcp_wmem",
	"net.ipv4.tcp_slow_start_after_idle",
	"net.ipv4.tcp_notsent_lowat",
}

// forbiddenSysctl refuses a pod with a sysctl that is neither safe nor allowed,
// or that would change the host, whose namespace the pod shares.
func forbiddenSysctl(pod *corev1.Pod, allowed []string) *pods.Failure {
	if pod.Spec.SecurityContext == nil {
		return nil
	}
	shared := map[sysctl.Namespace]bool{
		sysctl.NetNamespace:  pod.Spec.HostNetwork,
		sysctl.IPCNamespace:  pod.Spec.HostIPC,
		sysctl.UserNamespace: pod.Spec.HostUsers == nil || *pod.Spec.HostUsers,
	}
	for _, s := range pod.Spec.SecurityContext.Sysctls {
		name, problem := sysctl.NormalizeName(s.Name), ""
		ns, _, _ := sysctl.GetNamespace(name)
		switch {
		case !slices.Contains(safeSysctls, name) && !slices.ContainsFunc(allowed, func(a string) bool { return covers(a, name) }):
			problem = fmt.Sprintf("%q not allowlisted", name)
		case shared[ns]:
			problem = fmt.Sprintf("%q not allowed with host %s enabled", name, ns)
		default:
			continue
		}
		return &pods.Failure{Reason: "SysctlForbidden", Message: "Pod was rejected: forbidden sysctl: " + problem}
	}
	return nil
}

// covers reports whether a name, or a prefix that ends in *, means the sysctl.
func covers(allowed, name string) bool {
	prefix, many := strings.CutSuffix(sysctl.NormalizeName(allowed), "*")
	return name == prefix || many && strings.HasPrefix(name, prefix)
}
