package kubeapiserver

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"github.com/spf13/pflag"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
)

// parse returns the configuration that arguments make of an empty one.
func parse(args ...string) (*v1alpha1.Cluster, []string, error) {
	config := &v1alpha1.Cluster{}
	config.Default()
	set := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	f, err := Add(set, config)
	if err != nil {
		return nil, nil, err
	}
	if err := set.Parse(args); err != nil {
		return nil, nil, err
	}
	warnings, err := f.Complete()
	return config, warnings, err
}

// TestFlagsAreUpstreams compares what is registered with upstream's list.
func TestFlagsAreUpstreams(t *testing.T) {
	config := &v1alpha1.Cluster{}
	config.Default()
	set := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	f, err := Add(set, config)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{"help": true} // cobra's
	for _, flag := range f.list {
		names[flag.Name] = true
		if registered := set.Lookup(flag.Name); registered == nil && flag.Name != "help" {
			t.Errorf("--%s is not registered", flag.Name)
		} else if registered != nil && kind(registered.Value.Type()) != kind(flag.Type) {
			t.Errorf("--%s is a %s, upstream's a %s", flag.Name, registered.Value.Type(), flag.Type)
		}
	}
	set.VisitAll(func(flag *pflag.Flag) {
		if !names[flag.Name] {
			t.Errorf("--%s is no flag of upstream's", flag.Name)
		}
	})
}

// kind returns the notation of values of the type.
func kind(typ string) string {
	switch typ {
	case "int32", "int64", "int", "uint":
		return "number"
	case "float32", "float64":
		return "fraction"
	case "ip":
		return "string"
	}
	return typ
}

// effect is a flag's value that changes the configuration. Flags that need others
// have these, too.
var effects = map[string][]string{
	"admission-control": {"NamespaceLifecycle"}, "advertise-address": {"10.0.0.1"}, "feature-gates": {"AllAlpha=true"}, "runtime-config": {"api/all=true"}, "anonymous-auth": {"true"},
	"service-node-port-range": {"30000-30010"}, "service-cluster-ip-range": {"fd00::/112"}, "oidc-required-claim": {"a=b"},
	"tls-sni-cert-key": {"a,b:c"}, "audit-policy-file": {"p", "--audit-log-path=l"}, "audit-log-path": {"l", "--audit-policy-file=p"},
	"audit-webhook-config-file": {"w", "--audit-policy-file=p"}, "authorization-mode": {"AlwaysDeny"}, "authentication-config": {"c"},
	"tls-curve-preferences": {"29"}, "cert-dir": {"d"}, "bind-address": {"127.0.0.1"}, "tls-min-version": {"VersionTLS13"},
}

// beside are honoured flags that set nothing in the configuration.
var beside = []string{"allow-metric-labels", "allow-metric-labels-manifest", "disabled-metrics", "contention-profiling", "enable-aggregator-routing",
	"help", "version"}

// TestHonouredFlagsSetTheConfiguration gives each a value that is not its default.
func TestHonouredFlagsSetTheConfiguration(t *testing.T) {
	base, _, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range all {
		if flag.Decision != Honoured || slices.Contains(beside, flag.Name) {
			continue
		}
		t.Run(flag.Name, func(t *testing.T) {
			g := NewWithT(t)
			config, warnings, err := parse(sample(flag)...)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(warnings).To(BeEmpty())
			g.Expect(asText(t, config)).NotTo(Equal(asText(t, base)))
		})
	}
}

func sample(flag Flag) []string {
	if given := effects[flag.Name]; given != nil {
		return append([]string{"--" + flag.Name + "=" + given[0]}, given[1:]...)
	}
	value := map[string]string{"number": "7", "fraction": "0.01", "duration": "2h", "string": "x", "stringSlice": "x", "stringArray": "x"}[kind(flag.Type)]
	if flag.Type == "bool" {
		// The opposite of Coracle's default, which may differ from upstream's.
		value = "true"
		if flag.Default == "true" || flag.Name == "enable-bootstrap-token-auth" {
			value = "false"
		}
	}
	return []string{"--" + flag.Name + "=" + value}
}

func asText(t *testing.T, c *v1alpha1.Cluster) string {
	t.Helper()
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	// JSON does not distinguish an empty list from none.
	if c.APIServer.Authentication.AnonymousPaths == nil {
		data = append(data, "anonymous nil"...)
	}
	return string(data)
}

// TestOtherFlags gives warned flags a value, which is one line, and refused ones.
func TestOtherFlags(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range all {
		value := map[string]string{"number": "7", "duration": "2h"}[kind(flag.Type)]
		switch {
		case flag.Type == "bool" && flag.Default == "true":
			value = "false"
		case flag.Type == "bool":
			value = "true"
		case value == "":
			value = "other"
		}
		given := "--" + flag.Name + "=" + value
		_, warnings, err := parse(given)
		switch flag.Decision {
		case Warned:
			if err != nil || len(warnings) != 1 || !strings.HasPrefix(warnings[0], "flag --"+flag.Name+" has no effect: ") {
				t.Errorf("%s: %v, %v", given, warnings, err)
			}
		case Refused:
			if slices.Contains(flag.Accepts, value) {
				given = "--" + flag.Name + "=false"
				_, _, err = parse(given)
			}
			if err == nil || !strings.Contains(err.Error(), "--"+flag.Name) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v", given, err)
			}
		}
		for _, value := range append(slices.Clone(flag.Accepts), flag.Default) {
			if flag.Decision != Honoured && !(flag.Accepts != nil && value == flag.Default) {
				if _, warnings, err := parse("--" + flag.Name + "=" + value); err != nil || len(warnings) > 0 {
					t.Errorf("--%s=%s: %v, %v", flag.Name, value, warnings, err)
				}
			}
		}
	}
}

// TestRestrictions holds the decision about flags that restrict: none is passed over.
func TestRestrictions(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range all {
		for _, part := range []string{"tls-", "authorization", "authentication", "anonymous", "requestheader", "oidc", "admission", "allow-privileged", "client-ca", "certificate-authority",
			"encryption", "audit", "egress", "token-expiration", "max-token", "http2", "etcd-ca", "key-file", "cors", "max-connection"} {
			if strings.Contains(flag.Name, part) && flag.Decision == Warned {
				t.Errorf("--%s restricts and is only warned of", flag.Name)
			}
		}
	}
}

func TestFlagsTogether(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		want  string // an error
		check func(Gomega, *v1alpha1.Cluster, []string)
	}{
		"modes and a file": {[]string{"--authorization-mode=RBAC", "--authorization-config=f"}, "--authorization-config can not be specified", nil},
		"two ranges":       {[]string{"--service-cluster-ip-range=10.0.0.0/24,fd00::/112"}, "--service-cluster-ip-range", nil},
		"plugins twice":    {[]string{"--admission-control=A", "--enable-admission-plugins=B"}, "mutually exclusive", nil},
		"no address":       {[]string{"--advertise-address=host"}, "--advertise-address=host", nil},
		"a log without policy": {[]string{"--audit-log-path=l"}, "", func(g Gomega, c *v1alpha1.Cluster, warnings []string) {
			g.Expect(c.APIServer.Audit.LogPath).To(BeEmpty())
			g.Expect(warnings).To(HaveLen(1))
		}},
		"a proxy's headers are those that are named": {[]string{"--requestheader-client-ca-file=f", "--requestheader-username-headers=X-User"}, "", func(g Gomega, c *v1alpha1.Cluster, _ []string) {
			c.Default()
			h := c.APIServer.Authentication.RequestHeader
			g.Expect(h.UsernameHeaders).To(Equal([]string{"X-User"}))
			g.Expect(h.GroupHeaders).To(BeEmpty())
			g.Expect(h.UIDHeaders).To(BeEmpty())
			g.Expect(h.ExtraHeaderPrefixes).To(BeEmpty())
		}},
		"anonymous with AlwaysAllow": {[]string{"--anonymous-auth", "--authorization-mode=AlwaysAllow"}, "", func(g Gomega, c *v1alpha1.Cluster, warnings []string) {
			g.Expect(c.APIServer.Authentication.AnonymousPaths).NotTo(ContainElement("*"))
			g.Expect(warnings).To(HaveLen(1))
		}},
		"nobody anonymous": {[]string{"--anonymous-auth=false"}, "", func(g Gomega, c *v1alpha1.Cluster, _ []string) {
			c.Default()
			g.Expect(c.APIServer.Authentication.AnonymousPaths).To(BeEmpty())
		}},
		"several issuers": {[]string{"--service-account-issuer=https://a", "--service-account-issuer=https://b"}, "", func(g Gomega, c *v1alpha1.Cluster, _ []string) {
			g.Expect(c.APIServer.ServiceAccounts.Issuer).To(Equal("https://a"))
			g.Expect(c.APIServer.ServiceAccounts.AcceptedIssuers).To(Equal([]string{"https://b"}))
		}},
		"envtest": {[]string{"--advertise-address=127.0.0.1", "--allow-privileged=true", "--authorization-mode=RBAC", "--bind-address=127.0.0.1", "--cert-dir=d",
			"--disable-admission-plugins=ServiceAccount", "--etcd-servers=http://127.0.0.1:1", "--secure-port=1", "--service-cluster-ip-range=10.0.0.0/24",
			"--service-account-issuer=https://127.0.0.1:1/", "--service-account-key-file=k", "--service-account-signing-key-file=k", "--client-ca-file=c"}, "",
			func(g Gomega, c *v1alpha1.Cluster, warnings []string) {
				g.Expect(warnings).To(BeEmpty())
				g.Expect(c.AdvertiseAddress).To(BeEmpty())
				g.Expect(c.DataDir).To(Equal(filepath.Join("d", "coracle")))
				c.Default()
				g.Expect(c.Validate()).To(BeEmpty())
			}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			config, warnings, err := parse(c.args...)
			if c.want != "" {
				g.Expect(err).To(MatchError(ContainSubstring(c.want)))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			c.check(g, config, warnings)
		})
	}
}

// TestDocument fails when docs/kube-apiserver.md is not what the decisions render to.
func TestDocument(t *testing.T) {
	g := NewWithT(t)
	want, err := Document()
	g.Expect(err).NotTo(HaveOccurred())
	got, err := os.ReadFile("../../../docs/kube-apiserver.md")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(got)).To(Equal(want), "run make features")
}
