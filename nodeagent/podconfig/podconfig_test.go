package podconfig

import (
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func pod(change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "u", Labels: map[string]string{"app": "x"}},
		Spec:       corev1.PodSpec{DNSPolicy: corev1.DNSClusterFirst, Containers: []corev1.Container{{Name: "main", Image: "hello"}}},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func TestExpand(t *testing.T) {
	g := NewWithT(t)
	env := map[string]string{"A": "1", "B": "$(A)", "EMPTY": ""}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	for in, want := range map[string]string{
		"": "", "plain": "plain", "$(A)": "1", "x$(A)y$(A)": "x1y1", "$(NONE)": "$(NONE)", "$$(A)": "$(A)", "$$$(A)": "$1", "$$$$(A)": "$$(A)",
		"$(EMPTY)": "", "$(B)": "$(A)", "$A": "$A", "$(A": "$(A", "$(": "$(", "$": "$", "$$": "$", "a$": "a$", "$()": "$()", "$(A)$": "1$", "$($(A))": "$($(A))",
	} {
		g.Expect(Expand(in, lookup)).To(Equal(want), "%q", in)
	}
}

func TestSubPath(t *testing.T) {
	env := map[string]string{"POD": "p", "EMPTY": "", "ROOT": "/", "UP": ".."}
	for _, c := range []struct{ path, expr, want, err string }{
		{"", "", "", ""},
		{"a/b", "", "a/b", ""},
		{"", "logs/$(POD)", "logs/p", ""},
		{"", "a..b/$(POD)..", "a..b/p..", ""},
		{"", "$$(POD)", "$(POD)", ""},
		{"", "$(Y)/$(X)/$(Y)", "", "missing value for X, Y"},
		{"", "$(EMPTY)", "", "missing value for EMPTY"},
		{"", "$(ROOT)etc", "", "error SubPath `/etc` must not be an absolute path"},
		{"", "a/$(UP)/b", "", "unable to provision SubPath `a/../b`: must not contain '..'"},
	} {
		got, err := SubPath(corev1.VolumeMount{SubPath: c.path, SubPathExpr: c.expr}, env)
		if got != c.want || c.err == "" && err != nil || c.err != "" && (err == nil || err.Error() != c.err) {
			t.Errorf("%+v: got %q, %v", c, got, err)
		}
	}
}

func TestParseResolvConf(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("a.example ", 10000))
	for text, want := range map[string]*runtimeapi.DNSConfig{
		"":                                {},
		"# nameserver 1.1.1.1\n;search a": {},
		"nameserver 1.1.1.1\nnameserver\nnameserver 2.2.2.2 x\n": {Servers: []string{"1.1.1.1", "2.2.2.2"}},
		"search a b\nsearch c. .\n":                              {Searches: []string{"c"}},
		"search a\nsearch\n":                                     {},
		"options ndots:1 rotate\noptions ndots:5\n":              {Options: []string{"ndots:5", "rotate"}},
		"search " + long + "\nnameserver 1.1.1.1\n":              {Servers: []string{"1.1.1.1"}, Searches: strings.Fields(long)},
	} {
		got := ParseResolvConf([]byte(text))
		if !slices.Equal(got.Servers, want.Servers) || !slices.Equal(got.Searches, want.Searches) || !slices.Equal(got.Options, want.Options) {
			t.Errorf("%.60q: got %.200v", text, got)
		}
	}
}

func TestDNS(t *testing.T) {
	host := ParseResolvConf([]byte("# comment\nnameserver 9.9.9.9\nsearch example.com\noptions timeout:1\n"))
	two := "2"
	for name, tc := range map[string]struct {
		change  func(*corev1.Pod)
		cluster []string
		want    *runtimeapi.DNSConfig
		missing bool
	}{
		"cluster first": {nil, []string{"10.96.0.10"}, &runtimeapi.DNSConfig{Servers: []string{"10.96.0.10"},
			Searches: []string{"ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "example.com"}, Options: []string{"ndots:5"}}, false},
		"no cluster DNS": {nil, nil, host, true},
		"host network":   {func(p *corev1.Pod) { p.Spec.HostNetwork = true }, []string{"10.96.0.10"}, host, false},
		"none and config": {func(p *corev1.Pod) {
			p.Spec.DNSPolicy = corev1.DNSNone
			p.Spec.DNSConfig = &corev1.PodDNSConfig{Nameservers: []string{"1.1.1.1"}, Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: &two}}}
		}, nil, &runtimeapi.DNSConfig{Servers: []string{"1.1.1.1"}, Options: []string{"ndots:2"}}, false},
		"options override": {func(p *corev1.Pod) {
			p.Spec.DNSPolicy = corev1.DNSDefault
			p.Spec.DNSConfig = &corev1.PodDNSConfig{Options: []corev1.PodDNSConfigOption{{Name: "timeout", Value: &two}, {Name: "edns0"}}}
		}, nil, &runtimeapi.DNSConfig{Servers: host.Servers, Searches: host.Searches, Options: []string{"timeout:2", "edns0"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			p := pod()
			if tc.change != nil {
				tc.change(p)
			}
			got, missing := DNS(p, tc.cluster, "cluster.local", host)
			g.Expect(missing).To(Equal(tc.missing))
			g.Expect(got.Servers).To(Equal(tc.want.Servers))
			g.Expect(got.Searches).To(Equal(tc.want.Searches))
			g.Expect(got.Options).To(Equal(tc.want.Options))
		})
	}
}

func TestResources(t *testing.T) {
	g := NewWithT(t)
	r := corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("250m"), corev1.ResourceMemory: resource.MustParse("1Gi")},
		Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("2Gi"), "hugepages-2Mi": resource.MustParse("4Mi")},
	}
	p := pod(func(p *corev1.Pod) { p.Spec.Containers[0].Resources = r })
	got := Resources(p, r, 4<<30, true)
	g.Expect(got.CpuShares).To(BeEquivalentTo(256))
	g.Expect(got.CpuQuota).To(BeEquivalentTo(50000))
	g.Expect(got.MemoryLimitInBytes).To(BeEquivalentTo(2 << 30))
	g.Expect(got.OomScoreAdj).To(BeEquivalentTo(750))
	g.Expect(got.HugepageLimits).To(HaveLen(1))
	g.Expect(got.HugepageLimits[0].PageSize).To(Equal("2MB"))
	g.Expect(got.Unified).To(HaveKeyWithValue("memory.oom.group", "1"))

	bare := Resources(pod(), corev1.ResourceRequirements{}, 4<<30, false)
	g.Expect(bare.CpuShares).To(BeEquivalentTo(2))
	g.Expect(bare.CpuQuota).To(BeZero())
	g.Expect(bare.OomScoreAdj).To(BeEquivalentTo(1000))
}

func TestSecurityContext(t *testing.T) {
	g := NewWithT(t)
	user, group, fs, yes, no := int64(7), int64(8), int64(9), true, false
	profile := "p.json"
	p := pod(func(p *corev1.Pod) {
		p.Spec.ShareProcessNamespace = &yes
		p.Spec.SecurityContext = &corev1.PodSecurityContext{
			RunAsUser: &user, RunAsGroup: &group, FSGroup: &fs, SupplementalGroups: []int64{10}, RunAsNonRoot: &yes,
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost, LocalhostProfile: &profile},
			Sysctls:        []corev1.Sysctl{{Name: "net.core.somaxconn", Value: "1024"}},
		}
		p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
			Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_ADMIN"}, Drop: []corev1.Capability{"ALL"}},
		}
	})
	sandbox, err := Sandbox(SandboxInput{Pod: p, LogRoot: "/logs", ClusterDomain: "cluster.local"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(sandbox.Labels).To(HaveKeyWithValue("io.kubernetes.pod.uid", "u"))
	g.Expect(sandbox.Labels).To(HaveKeyWithValue("app", "x"))
	g.Expect(sandbox.LogDirectory).To(Equal("/logs/ns_p_u"))
	g.Expect(sandbox.Linux.Sysctls).To(HaveKeyWithValue("net.core.somaxconn", "1024"))

	config, err := Container(ContainerInput{Pod: p, Container: &p.Spec.Containers[0], SeccompDir: "/seccomp", Attempt: 3, ExtraGroups: []int64{11}})
	g.Expect(err).NotTo(HaveOccurred())
	sc := config.Linux.SecurityContext
	g.Expect(sc.RunAsUser.Value).To(Equal(user))
	g.Expect(sc.RunAsGroup.Value).To(Equal(group))
	g.Expect(sc.SupplementalGroups).To(Equal([]int64{10, 9, 11}))
	g.Expect(sc.NoNewPrivs).To(BeTrue())
	g.Expect(sc.ReadonlyRootfs).To(BeTrue())
	g.Expect(sc.Capabilities.AddCapabilities).To(Equal([]string{"NET_ADMIN"}))
	g.Expect(sc.Seccomp.LocalhostRef).To(Equal("/seccomp/p.json"))
	g.Expect(sc.NamespaceOptions.Pid).To(Equal(runtimeapi.NamespaceMode_POD))
	g.Expect(config.LogPath).To(Equal("main/3.log"))
	g.Expect(config.Annotations).To(HaveKeyWithValue(RestartCountAnnotation, "3"))
}

func TestRunAsNonRoot(t *testing.T) {
	yes, root, other := true, int64(0), int64(5)
	for name, tc := range map[string]struct {
		own   *int64
		image User
		err   string
	}{
		"image runs as root":       {nil, User{}, "image will run as root"},
		"image says 0":             {nil, User{UID: &root}, "image will run as root"},
		"image has a name":         {nil, User{Name: "www"}, "non-numeric user (www)"},
		"image has a number":       {nil, User{UID: &other}, ""},
		"own user is root":         {&root, User{UID: &other}, "runAsUser breaks non-root policy"},
		"own user wins over image": {&other, User{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			p := pod(func(p *corev1.Pod) {
				p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: tc.own}
			})
			_, err := Container(ContainerInput{Pod: p, Container: &p.Spec.Containers[0], ImageUser: tc.image})
			if tc.err == "" {
				g.Expect(err).NotTo(HaveOccurred())
			} else {
				g.Expect(err).To(MatchError(ContainSubstring(tc.err)))
			}
		})
	}
}

func TestHostsFile(t *testing.T) {
	g := NewWithT(t)
	p := pod(func(p *corev1.Pod) {
		p.Spec.Subdomain = "sub"
		p.Spec.HostAliases = []corev1.HostAlias{{IP: "1.2.3.4", Hostnames: []string{"a", "b"}}}
	})
	text := string(HostsFile(p, []string{"10.0.0.1"}, nil, "p", FQDN(p, "cluster.local")))
	g.Expect(text).To(HavePrefix("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"))
	g.Expect(text).To(ContainSubstring("10.0.0.1\tp.sub.ns.svc.cluster.local\tp\n"))
	g.Expect(text).To(HaveSuffix("# Entries added by HostAliases.\n1.2.3.4\ta\tb\n"))
}
