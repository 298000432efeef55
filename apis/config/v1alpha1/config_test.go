package v1alpha1

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/randfill"
)

func TestDecodeIsStrict(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown field":   {"network: {podCidr: 10.0.0.0/8}", `unknown field "network.podCidr"`},
		"unknown fields":  {"a: 1\nnodes: 1\nb: 2", `unknown field "a", unknown field "b"`},
		"two documents":   {"nodes: 1\n---\nnodes: 2", "more than one document"},
		"duplicate field": {"listen: a\nlisten: b", `"listen"`},
		"wrong type":      {"nodes: many", "nodes"},
		"not yaml":        {"a: [", "yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestDecodePassesOverEmptyDocuments(t *testing.T) {
	c, err := Decode([]byte("---\n# a comment\n---\nlisten: a\n---\n"))
	if err != nil || c.Listen != "a" {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestDefaultsAreValid(t *testing.T) {
	c := &Cluster{}
	c.Default()
	if errs := c.Validate(); len(errs) > 0 {
		t.Error(errs.ToAggregate())
	}
}

func TestValidateNamesTheField(t *testing.T) {
	minus := int32(-1)
	for want, change := range map[string]func(*Cluster){
		"apiVersion":                    func(c *Cluster) { c.APIVersion = "v1" },
		"kind":                          func(c *Cluster) { c.Kind = "Pod" },
		"listen":                        func(c *Cluster) { c.Listen = "6443" },
		"nodes":                         func(c *Cluster) { c.Nodes = &minus },
		"simulatedNodes":                func(c *Cluster) { c.SimulatedNodes = -1 },
		"agents.proxies[1]":             func(c *Cluster) { c.Agents.Proxies = []string{"10.0.0.1", "0.0.0.0/0"} },
		"agents.proxies[0]":             func(c *Cluster) { c.Agents.Proxies = []string{"balancer"} },
		"network.serviceCIDR":           func(c *Cluster) { c.Network.ServiceCIDR = "10.96.0.1/16" },
		"network.podCIDR":               func(c *Cluster) { c.Network.PodCIDR = "10.96.128.0/17" },
		"network.nodeCIDRMaskSize":      func(c *Cluster) { c.Network.NodeCIDRMaskSize = 15 },
		"network.nodePorts":             func(c *Cluster) { c.Network.NodePorts = "32767-30000" },
		"network.clusterDNS[0]":         func(c *Cluster) { c.Network.ClusterDNS = []string{"dns"} },
		"node.allowedUnsafeSysctls[1]":  func(c *Cluster) { c.Node.AllowedUnsafeSysctls = []string{"net.core.*", "vm.swappiness"} },
		"node.name":                     func(c *Cluster) { c.Node.Name = "Not_A_Name" },
		"node.containerRuntimeEndpoint": func(c *Cluster) { two := int32(2); c.Nodes = &two; c.Node.ContainerRuntimeEndpoint = "/x.sock" },
		"advertiseAddress":              func(c *Cluster) { c.AdvertiseAddress = "127.0.0.1" },
		"leaderElection.leaseDuration": func(c *Cluster) {
			c.LeaderElection = elected(500*time.Millisecond, 300*time.Millisecond, time.Millisecond)
		},
		"leaderElection.renewDeadline":               func(c *Cluster) { c.LeaderElection = elected(10*time.Second, 10*time.Second, time.Second) },
		"leaderElection.retryPeriod":                 func(c *Cluster) { c.LeaderElection = elected(15*time.Second, 10*time.Second, 9*time.Second) },
		"network.loadBalancer":                       func(c *Cluster) { c.Network.LoadBalancer = "cloud" },
		"apiServer.requestTimeout":                   func(c *Cluster) { c.APIServer.RequestTimeout.Duration = 1 },
		"apiServer.maxRequestsInFlight":              func(c *Cluster) { c.APIServer.MaxRequestsInFlight = -1 },
		"apiServer.corsAllowedOrigins[0]":            func(c *Cluster) { c.APIServer.CORSAllowedOrigins = []string{"example.com"} },
		"apiServer.encryption.reload":                func(c *Cluster) { c.APIServer.Encryption.Reload = true },
		"apiServer.authentication.anonymousPaths":    func(c *Cluster) { c.APIServer.Authentication.ConfigFile = "x" },
		"apiServer.authentication.anonymousPaths[0]": func(c *Cluster) { c.APIServer.Authentication.AnonymousPaths = []string{"livez"} },
		"apiServer.authentication.tokenWebhook.version": func(c *Cluster) {
			c.APIServer.Authentication.TokenWebhook = TokenWebhook{KubeconfigFile: "x", Version: "v2"}
		},
		"apiServer.authentication.requestHeader.clientCAFile": func(c *Cluster) { c.APIServer.Authentication.RequestHeader.AllowedNames = []string{"proxy"} },
		"apiServer.authentication.requestHeader.uidHeaders[0]": func(c *Cluster) {
			c.APIServer.Authentication.RequestHeader.UIDHeaders = []string{" "}
		},
		"apiServer.admission.disablePlugins[0]": func(c *Cluster) {
			c.APIServer.Admission = Admission{EnablePlugins: []string{"A"}, DisablePlugins: []string{"A"}}
		},
		"featureGates":                                 func(c *Cluster) { c.FeatureGates = map[string]bool{"Nope": true} },
		"apiServer.runtimeConfig":                      func(c *Cluster) { c.APIServer.RuntimeConfig = map[string]string{"x.k8s.io/v1": "true"} },
		"apiServer.tls.minVersion":                     func(c *Cluster) { c.APIServer.TLS.MinVersion = "TLS12" },
		"apiServer.tls.cipherSuites[0]":                func(c *Cluster) { c.APIServer.TLS.CipherSuites = []string{"ROT13"} },
		"apiServer.tls.curvePreferences[0]":            func(c *Cluster) { c.APIServer.TLS.CurvePreferences = []int32{1} },
		"apiServer.tls.sniCertificates[0]":             func(c *Cluster) { c.APIServer.TLS.SNICertificates = []NamedCertificate{{CertFile: "x"}} },
		"apiServer.proxy.keyFile":                      func(c *Cluster) { c.APIServer.Proxy.CertFile = "x" },
		"apiServer.kubelet.certFile":                   func(c *Cluster) { c.APIServer.Kubelet.KeyFile = "x" },
		"apiServer.kubelet.preferredAddressTypes":      func(c *Cluster) { c.APIServer.Kubelet.PreferredAddressTypes = []string{} },
		"apiServer.http2.goawayChance":                 func(c *Cluster) { c.APIServer.HTTP2.GoawayChance = 0.03 },
		"apiServer.http2.maxStreamsPerConnection":      func(c *Cluster) { c.APIServer.HTTP2.MaxStreamsPerConnection = -1 },
		"apiServer.strictTransportSecurity[0]":         func(c *Cluster) { c.APIServer.StrictTransportSecurity = []string{"max-age"} },
		"apiServer.deleteCollectionWorkers":            func(c *Cluster) { c.APIServer.DeleteCollectionWorkers = -1 },
		"apiServer.eventTTL":                           func(c *Cluster) { c.APIServer.EventTTL.Duration = time.Millisecond },
		"apiServer.shutdownDelay":                      func(c *Cluster) { c.APIServer.ShutdownDelay.Duration = -1 },
		"apiServer.serviceAccounts.acceptedIssuers[0]": func(c *Cluster) { c.APIServer.ServiceAccounts.AcceptedIssuers = []string{""} },
		"apiServer.serviceAccounts.jwksURI":            func(c *Cluster) { c.APIServer.ServiceAccounts.JWKSURI = "http://a" },
		"apiServer.serviceAccounts.maxTokenExpiration": func(c *Cluster) { c.APIServer.ServiceAccounts.MaxTokenExpiration.Duration = time.Minute },
		"apiServer.authentication.oidc.clientID":       func(c *Cluster) { c.APIServer.Authentication.OIDC.IssuerURL = "https://a" },
		"apiServer.authentication.oidc.issuerURL":      func(c *Cluster) { c.APIServer.Authentication.OIDC.GroupsClaim = "groups" },
		"apiServer.authorization.modes[1]":             func(c *Cluster) { c.APIServer.Authorization.Modes = []string{"RBAC", "RBAC"} },
		"apiServer.authorization.modes[0]":             func(c *Cluster) { c.APIServer.Authorization.Modes = []string{"rbac"} },
		"apiServer.authorization.modes": func(c *Cluster) {
			c.APIServer.Authorization.Modes, c.APIServer.Authentication.AnonymousPaths = []string{"AlwaysAllow"}, []string{"*"}
		},
		"apiServer.authorization.policyFile":             func(c *Cluster) { c.APIServer.Authorization.Modes = []string{"ABAC"} },
		"apiServer.authorization.webhook.kubeconfigFile": func(c *Cluster) { c.APIServer.Authorization.Webhook.KubeconfigFile = "x" },
		"apiServer.authorization.webhook.version":        func(c *Cluster) { c.APIServer.Authorization.Webhook.Version = "v2" },
		"apiServer.audit.webhookMode":                    func(c *Cluster) { c.APIServer.Audit.WebhookMode = "later" },
		"apiServer.audit.logBatch.maxSize":               func(c *Cluster) { c.APIServer.Audit.LogBatch.MaxSize = -1 },
		"apiServer.audit.webhookBatch.throttle":          func(c *Cluster) { c.APIServer.Audit.WebhookBatch.ThrottleQPS = -1 },
		"apiServer.audit.logTruncate.maxBatchSize":       func(c *Cluster) { c.APIServer.Audit.LogTruncate.MaxBatchSize = 1 },
		"apiServer.audit.logPath":                        func(c *Cluster) { c.APIServer.Audit.PolicyFile = "x" },
		"apiServer.audit.policyFile":                     func(c *Cluster) { c.APIServer.Audit.LogPath = "x" },
		"apiServer.audit.logFormat":                      func(c *Cluster) { c.APIServer.Audit.LogFormat = "xml" },
		"apiServer.audit.logMode":                        func(c *Cluster) { c.APIServer.Audit.LogMode = "later" },
		"apiServer.audit.logMaxAge":                      func(c *Cluster) { c.APIServer.Audit.LogMaxAge = -1 },
	} {
		t.Run(want, func(t *testing.T) {
			c := &Cluster{}
			c.Default()
			change(c)
			errs := c.Validate()
			if len(errs) != 1 || errs[0].Field != want {
				t.Errorf("got %v, want one error at %s", errs, want)
			}
		})
	}
}

func TestServicesInIPv6(t *testing.T) {
	none, one := int32(0), int32(1)
	for _, c := range []struct {
		nodes *int32
		cidr  string
		ok    bool
	}{{&none, "fd00:96::/112", true}, {&one, "fd00:96::/112", false}, {&none, "fd00:96::1/112", false}, {&none, "fd00::/48", false}, {&none, "fd00::/127", false}} {
		config := &Cluster{Nodes: c.nodes, Network: Network{ServiceCIDR: c.cidr}}
		config.Default()
		if errs := config.Validate(); (len(errs) == 0) != c.ok {
			t.Errorf("%s with %d nodes: %v", c.cidr, *c.nodes, errs)
		}
	}
}

func elected(lease, renew, retry time.Duration) LeaderElection {
	return LeaderElection{LeaseDuration: metav1.Duration{Duration: lease}, RenewDeadline: metav1.Duration{Duration: renew}, RetryPeriod: metav1.Duration{Duration: retry}}
}

func TestLeadersAreElectedWhereEtcdIsElsewhere(t *testing.T) {
	alone, several := &Cluster{}, &Cluster{Storage: Storage{Endpoints: []string{"http://10.0.0.1:2379"}}}
	alone.Default()
	several.Default()
	if *alone.LeaderElection.LeaderElect || !*several.LeaderElection.LeaderElect {
		t.Errorf("alone: %v, several: %v", *alone.LeaderElection.LeaderElect, *several.LeaderElection.LeaderElect)
	}
	no := false
	several.LeaderElection.LeaderElect = &no
	several.Default()
	if c := several.DeepCopy(); *c.LeaderElection.LeaderElect || c.LeaderElection.LeaderElect == &no {
		t.Error("what was said is not kept, or shared with a copy")
	}
}

func TestControllersEnabled(t *testing.T) {
	for _, tc := range []struct {
		enabled []string
		runs    string
		want    bool
	}{
		{nil, "deployment-controller", false},
		{[]string{"*"}, "deployment-controller", true},
		{[]string{"*", "-deployment-controller"}, "deployment-controller", false},
		{[]string{"-deployment", "*"}, "deployment-controller", false},
		{[]string{"*", "-deployment-controller"}, "job-controller", true},
		{[]string{"job"}, "job-controller", true},
		{[]string{"job"}, "cronjob-controller", false},
		{[]string{"-job"}, "cronjob-controller", false},
		{[]string{"job-controller", "-job-controller"}, "job-controller", true},
	} {
		c := Controllers{Enabled: tc.enabled}
		if got := c.Runs(tc.runs); got != tc.want {
			t.Errorf("%v: %s runs: %t", tc.enabled, tc.runs, got)
		}
	}
	if c := (&Controllers{Enabled: []string{"-job"}}); c.Any() {
		t.Error("nothing is on, but any runs")
	}

	empty, err := Decode([]byte("controllers: {enabled: []}\nscheduler: {enabled: false}"))
	if err != nil {
		t.Fatal(err)
	}
	empty.Default()
	if empty.Controllers.Any() || *empty.Scheduler.Enabled || len(empty.Validate()) > 0 {
		t.Errorf("an empty list turns on %v: %v", empty.Controllers.Enabled, empty.Validate())
	}
	plain := &Cluster{}
	plain.Default()
	if !plain.Controllers.Runs("local-path-provisioner") || !*plain.Scheduler.Enabled {
		t.Error("by default not everything runs")
	}
	plain.Controllers.Enabled = []string{"*", "-deployments"}
	errs := plain.Validate()
	if len(errs) != 1 || errs[0].Field != "controllers.enabled[1]" || !strings.Contains(errs[0].Detail, `"deployments" is not in the list of known controllers`) {
		t.Errorf("an unknown name: %v", errs)
	}
}

// TestCopiesShareNothing changes a copy of a configuration that has everything.
func TestCopiesShareNothing(t *testing.T) {
	full, filler := &Cluster{}, randfill.NewWithSeed(1).NilChance(0).NumElements(1, 2).Funcs(
		func(q *resource.Quantity, c randfill.Continue) {
			*q = *resource.NewQuantity(c.Int63(), resource.DecimalSI)
		})
	filler.Fill(full)
	before, err := json.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	c := full.DeepCopy()
	if !equality.Semantic.DeepEqual(c, full) {
		t.Fatal("a copy is not equal")
	}
	overwrite(reflect.ValueOf(c))
	if after, err := json.Marshal(full); err != nil || !bytes.Equal(before, after) {
		t.Errorf("a change of a copy changes\n%s\nto\n%s: %v", before, after, err)
	}
}

// overwrite sets what v leads to to zero, from the leaves up.
func overwrite(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			overwrite(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				overwrite(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			overwrite(v.Index(i))
		}
	case reflect.Map:
		v.Clear()
	}
	if v.CanSet() {
		v.SetZero()
	}
}
