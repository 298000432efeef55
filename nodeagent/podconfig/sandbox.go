package podconfig

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// SandboxInput holds all that a sandbox depends on.
type SandboxInput struct {
	Pod     *corev1.Pod
	Attempt uint32
	// LogRoot is the directory of all pods' logs.
	LogRoot string
	// CgroupParent is the pod's cgroup; empty leaves it to the runtime.
	CgroupParent string
	// Hostname is the node's, for host network pods; ClusterDomain is for FQDNs.
	Hostname, ClusterDomain string
	DNS                     *runtimeapi.DNSConfig
	// ExtraGroups come from volumes.
	ExtraGroups []int64
}

// Sandbox returns the config of a pod's sandbox.
func Sandbox(in SandboxInput) (*runtimeapi.PodSandboxConfig, error) {
	pod := in.Pod
	if pod.Spec.HostUsers != nil && !*pod.Spec.HostUsers {
		return nil, fmt.Errorf("configuring sandbox: user namespaces (hostUsers: false) are not available on this node")
	}
	hostname, err := Hostname(pod, in.Hostname, in.ClusterDomain)
	if err != nil {
		return nil, err
	}
	if pod.Spec.HostNetwork {
		hostname = "" // the sandbox shares the host's name and must not set it
	}
	return &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{
			Name: pod.Name, Namespace: pod.Namespace, Uid: string(pod.UID), Attempt: in.Attempt,
		},
		Hostname:     hostname,
		LogDirectory: LogDir(in.LogRoot, pod),
		DnsConfig:    in.DNS,
		PortMappings: portMappings(pod),
		Labels:       sandboxLabels(pod),
		Annotations:  sandboxAnnotations(pod),
		Linux: &runtimeapi.LinuxPodSandboxConfig{
			CgroupParent:    in.CgroupParent,
			SecurityContext: sandboxSecurity(pod, in.ExtraGroups),
			Sysctls:         sysctls(pod),
		},
	}, nil
}

// Hostname returns the host name inside the pod, see
// https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-hostname-and-subdomain-field.
func Hostname(pod *corev1.Pod, node, domain string) (string, error) {
	if pod.Spec.HostNetwork {
		return node, nil
	}
	if pod.Spec.HostnameOverride != nil {
		return *pod.Spec.HostnameOverride, nil
	}
	name := shortHostname(pod)
	if pod.Spec.SetHostnameAsFQDN != nil && *pod.Spec.SetHostnameAsFQDN {
		if fqdn := FQDN(pod, domain); fqdn != "" {
			name = fqdn
		}
		if len(name) > 64 {
			return "", fmt.Errorf("configuring sandbox: failed to construct FQDN from pod hostname and cluster domain, FQDN %s is too long (64 characters is the max, %d characters requested)", name, len(name))
		}
	}
	return name, nil
}

func shortHostname(pod *corev1.Pod) string {
	if pod.Spec.Hostname != "" {
		return pod.Spec.Hostname
	}
	name := pod.Name
	if len(name) > 63 {
		name = name[:63]
		for name != "" && (name[len(name)-1] == '-' || name[len(name)-1] == '.') {
			name = name[:len(name)-1]
		}
	}
	return name
}

// FQDN returns the pod's full name under its subdomain, empty without one.
func FQDN(pod *corev1.Pod, domain string) string {
	if pod.Spec.Subdomain == "" {
		return ""
	}
	return fmt.Sprintf("%s.%s.%s.svc.%s", shortHostname(pod), pod.Spec.Subdomain, pod.Namespace, domain)
}

func portMappings(pod *corev1.Pod) []*runtimeapi.PortMapping {
	if pod.Spec.HostNetwork {
		return nil
	}
	var out []*runtimeapi.PortMapping
	add := func(c *corev1.Container) {
		for _, p := range c.Ports {
			if p.HostPort == 0 {
				continue
			}
			protocol := runtimeapi.Protocol_TCP
			switch p.Protocol {
			case corev1.ProtocolUDP:
				protocol = runtimeapi.Protocol_UDP
			case corev1.ProtocolSCTP:
				protocol = runtimeapi.Protocol_SCTP
			}
			out = append(out, &runtimeapi.PortMapping{
				Protocol: protocol, ContainerPort: p.ContainerPort, HostPort: p.HostPort, HostIp: p.HostIP,
			})
		}
	}
	for i := range pod.Spec.InitContainers {
		add(&pod.Spec.InitContainers[i])
	}
	for i := range pod.Spec.Containers {
		add(&pod.Spec.Containers[i])
	}
	return out
}

func sysctls(pod *corev1.Pod) map[string]string {
	if pod.Spec.SecurityContext == nil || len(pod.Spec.SecurityContext.Sysctls) == 0 {
		return nil
	}
	out := map[string]string{}
	for _, s := range pod.Spec.SecurityContext.Sysctls {
		out[s.Name] = s.Value
	}
	return out
}

// namespaces returns the pod's namespaces; target is the container whose
// processes an ephemeral container shares, if any.
func namespaces(pod *corev1.Pod, target string) *runtimeapi.NamespaceOption {
	o := &runtimeapi.NamespaceOption{Pid: runtimeapi.NamespaceMode_CONTAINER}
	if pod.Spec.HostNetwork {
		o.Network = runtimeapi.NamespaceMode_NODE
	}
	if pod.Spec.HostIPC {
		o.Ipc = runtimeapi.NamespaceMode_NODE
	}
	switch {
	case pod.Spec.HostPID:
		o.Pid = runtimeapi.NamespaceMode_NODE
	case target != "":
		o.Pid, o.TargetId = runtimeapi.NamespaceMode_TARGET, target
	case pod.Spec.ShareProcessNamespace != nil && *pod.Spec.ShareProcessNamespace:
		o.Pid = runtimeapi.NamespaceMode_POD
	}
	return o
}

func sandboxSecurity(pod *corev1.Pod, extra []int64) *runtimeapi.LinuxSandboxSecurityContext {
	out := &runtimeapi.LinuxSandboxSecurityContext{
		NamespaceOptions:   namespaces(pod, ""),
		Privileged:         anyPrivileged(pod),
		Seccomp:            &runtimeapi.SecurityProfile{ProfileType: runtimeapi.SecurityProfile_RuntimeDefault},
		SupplementalGroups: groups(pod, extra),
	}
	if sc := pod.Spec.SecurityContext; sc != nil {
		if sc.RunAsUser != nil {
			out.RunAsUser = &runtimeapi.Int64Value{Value: *sc.RunAsUser}
			if sc.RunAsGroup != nil {
				out.RunAsGroup = &runtimeapi.Int64Value{Value: *sc.RunAsGroup}
			}
		}
		out.SelinuxOptions = selinux(sc.SELinuxOptions)
		out.SupplementalGroupsPolicy = groupsPolicy(pod)
	}
	return out
}

func anyPrivileged(pod *corev1.Pod) bool {
	privileged := func(c corev1.Container) bool {
		return c.SecurityContext != nil && c.SecurityContext.Privileged != nil && *c.SecurityContext.Privileged
	}
	return slices.ContainsFunc(pod.Spec.Containers, privileged) || slices.ContainsFunc(pod.Spec.InitContainers, privileged)
}

// groups returns the pod's supplemental groups: its own, fsGroup and the volumes'.
func groups(pod *corev1.Pod, extra []int64) []int64 {
	var out []int64
	if sc := pod.Spec.SecurityContext; sc != nil {
		out = append(out, sc.SupplementalGroups...)
		if sc.FSGroup != nil {
			out = append(out, *sc.FSGroup)
		}
	}
	for _, g := range extra {
		if !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	return out
}

func groupsPolicy(pod *corev1.Pod) runtimeapi.SupplementalGroupsPolicy {
	sc := pod.Spec.SecurityContext
	if sc != nil && sc.SupplementalGroupsPolicy != nil && *sc.SupplementalGroupsPolicy == corev1.SupplementalGroupsPolicyStrict {
		return runtimeapi.SupplementalGroupsPolicy_Strict
	}
	return runtimeapi.SupplementalGroupsPolicy_Merge
}

func selinux(o *corev1.SELinuxOptions) *runtimeapi.SELinuxOption {
	if o == nil {
		return nil
	}
	return &runtimeapi.SELinuxOption{User: o.User, Role: o.Role, Type: o.Type, Level: o.Level}
}
