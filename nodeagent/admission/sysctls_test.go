package admission

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
)

func TestForbiddenSysctl(t *testing.T) {
	no := false
	for name, c := range map[string]struct {
		sysctl  string
		allowed []string
		change  func(*corev1.PodSpec)
		want    string
	}{
		"safe":              {sysctl: "net.ipv4.tcp_syncookies"},
		"safe with slashes": {sysctl: "net/ipv4/tcp_syncookies"},
		"unsafe":            {sysctl: "kernel.msgmax", want: `"kernel.msgmax" not allowlisted`},
		"allowed":           {sysctl: "kernel.msgmax", allowed: []string{"kernel.msgmax"}},
		"allowed prefix":    {sysctl: "net.core.somaxconn", allowed: []string{"net.core.*"}},
		"not the prefix":    {sysctl: "net.ipv4.ip_forward", allowed: []string{"net.core.*"}, want: `"net.ipv4.ip_forward" not allowlisted`},
		"name is no prefix": {sysctl: "kernel.msgmax2", allowed: []string{"kernel.msgmax"}, want: `"kernel.msgmax2" not allowlisted`},
		"host network": {
			sysctl: "net.ipv4.tcp_syncookies", change: func(s *corev1.PodSpec) { s.HostNetwork = true },
			want: `"net.ipv4.tcp_syncookies" not allowed with host Net enabled`,
		},
		"host ipc": {
			sysctl: "kernel.shm_rmid_forced", change: func(s *corev1.PodSpec) { s.HostIPC = true },
			want: `"kernel.shm_rmid_forced" not allowed with host IPC enabled`,
		},
		"host ipc, net sysctl": {sysctl: "net.ipv4.tcp_syncookies", change: func(s *corev1.PodSpec) { s.HostIPC = true }},
		"host users": {
			sysctl: "user.max_ipc_namespaces", allowed: []string{"user.*"},
			want: `"user.max_ipc_namespaces" not allowed with host User enabled`,
		},
		"own users": {
			sysctl: "user.max_ipc_namespaces", allowed: []string{"user.*"}, change: func(s *corev1.PodSpec) { s.HostUsers = &no },
		},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{
				Sysctls: []corev1.Sysctl{{Name: "net.ipv4.tcp_fin_timeout", Value: "1"}, {Name: c.sysctl, Value: "1"}},
			}}}
			if c.change != nil {
				// The first sysctl of the pod is the net's: only the one in question counts here.
				pod.Spec.SecurityContext.Sysctls = pod.Spec.SecurityContext.Sysctls[1:]
				c.change(&pod.Spec)
			}
			f := forbiddenSysctl(pod, c.allowed)
			if c.want == "" {
				NewWithT(t).Expect(f).To(BeNil())
				return
			}
			NewWithT(t).Expect(f).NotTo(BeNil())
			NewWithT(t).Expect(f.Reason).To(Equal("SysctlForbidden"))
			NewWithT(t).Expect(f.Message).To(Equal("Pod was rejected: forbidden sysctl: " + c.want))
		})
	}
}
