package kubeapiserver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/metrics"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
)

// Flags are upstream's flags over a configuration.
type Flags struct {
	set    *pflag.FlagSet
	config *v1alpha1.Cluster
	list   []Flag
	others map[string]*text // warned and refused ones

	certDir, bindAddress, advertiseAddress string
	port                                   int
	contention                             bool
	minRequestSeconds                      int
	anonymous                              bool
	admission                              []string
	issuers                                []string
	nodePorts                              utilnet.PortRange
	sni                                    []cliflag.NamedCertKey
	metrics                                *metrics.Options
}

// Add adds every flag of upstream's to set. Their defaults are what config has,
// which is defaulted.
func Add(set *pflag.FlagSet, config *v1alpha1.Cluster) (*Flags, error) {
	list, err := All()
	if err != nil {
		return nil, err
	}
	f := &Flags{set: set, config: config, list: list, others: map[string]*text{}, metrics: metrics.NewOptions()}
	f.addServer()
	f.addTLS()
	f.addStorage()
	f.addAudit()
	f.addAuthentication()
	f.addAuthorization()
	f.addAdmission()
	f.addNodes()
	f.addEnablement()
	for _, flag := range list {
		f.addOther(flag)
	}
	return f, nil
}

func (f *Flags) addServer() {
	set, s := f.set, &f.config.APIServer
	set.StringVar(&f.certDir, "cert-dir", "/var/run/kubernetes", "directory of apiserver.crt and apiserver.key, in which everything else is kept, too")
	set.StringVar(&f.bindAddress, "bind-address", "0.0.0.0", "address to listen on")
	set.StringVar(&f.advertiseAddress, "advertise-address", "", "address at which others reach the server (default that of --bind-address)")
	set.IntVar(&f.port, "secure-port", 6443, "port to listen on")
	set.StringVar(&s.ExternalHostname, "external-hostname", s.ExternalHostname, "address that discovery tells clients of (default the server's)")
	set.StringSliceVar(&s.CORSAllowedOrigins, "cors-allowed-origins", s.CORSAllowedOrigins, "regular expressions of origins whose scripts may read answers")
	set.DurationVar(&s.RequestTimeout.Duration, "request-timeout", s.RequestTimeout.Duration, "how long a request may take")
	set.IntVar(&f.minRequestSeconds, "min-request-timeout", int(s.MinRequestTimeout.Seconds()), "seconds after which a watch without a timeout is ended, at least; at most twice as many")
	set.Int32Var(&s.MaxRequestsInFlight, "max-requests-inflight", s.MaxRequestsInFlight, "reads at once")
	set.Int32Var(&s.MaxMutatingRequestsInFlight, "max-mutating-requests-inflight", s.MaxMutatingRequestsInFlight, "writes at once")
	set.Float64Var(&s.HTTP2.GoawayChance, "goaway-chance", s.HTTP2.GoawayChance, "share of requests whose connection is ended after them")
	set.DurationVar(&s.LivezGracePeriod.Duration, "livez-grace-period", s.LivezGracePeriod.Duration, "how long after the start /livez passes over what has not started")
	set.DurationVar(&s.ShutdownDelay.Duration, "shutdown-delay-duration", s.ShutdownDelay.Duration, "how long requests are answered after the stop, while /readyz fails")
	set.StringSliceVar(&s.StrictTransportSecurity, "strict-transport-security-directives", s.StrictTransportSecurity, "directives of the header Strict-Transport-Security")
	set.BoolVar(s.Profiling, "profiling", *s.Profiling, "serve /debug/pprof")
	set.BoolVar(&f.contention, "contention-profiling", false, "profile blocking, too")
}

func (f *Flags) addTLS() {
	set, s := f.set, &f.config.APIServer
	set.StringVar(&s.Certificate.CertFile, "tls-cert-file", s.Certificate.CertFile, "certificate of the server (default apiserver.crt in --cert-dir)")
	set.StringVar(&s.Certificate.KeyFile, "tls-private-key-file", s.Certificate.KeyFile, "its key (default apiserver.key in --cert-dir)")
	set.Var(cliflag.NewNamedCertKeyArray(&f.sni), "tls-sni-cert-key", "certificate and key for some names: CERT,KEY or CERT,KEY:NAME,NAME; may be given several times")
	set.StringVar(&s.TLS.MinVersion, "tls-min-version", s.TLS.MinVersion, "lowest version of TLS: "+strings.Join(cliflag.TLSPossibleVersions(), ", "))
	set.StringSliceVar(&s.TLS.CipherSuites, "tls-cipher-suites", s.TLS.CipherSuites, "cipher suites of versions before 1.3 (default those of Go)")
	set.Int32SliceVar(&s.TLS.CurvePreferences, "tls-curve-preferences", s.TLS.CurvePreferences, "key exchange mechanisms by their numbers (default those of Go)")
	set.BoolVar(&s.HTTP2.Disabled, "disable-http2-serving", s.HTTP2.Disabled, "serve HTTP/1.1 alone")
	set.Int32Var(&s.HTTP2.MaxStreamsPerConnection, "http2-max-streams-per-connection", s.HTTP2.MaxStreamsPerConnection, "requests at once in one connection")
}

func (f *Flags) addStorage() {
	set, c, s := f.set, f.config, &f.config.APIServer
	set.StringSliceVar(&c.Storage.Endpoints, "etcd-servers", c.Storage.Endpoints, "URLs of etcd (default: one in this process)")
	set.StringVar(&c.Storage.CAFile, "etcd-cafile", c.Storage.CAFile, "authority of etcd")
	set.StringVar(&c.Storage.CertFile, "etcd-certfile", c.Storage.CertFile, "client certificate for etcd")
	set.StringVar(&c.Storage.KeyFile, "etcd-keyfile", c.Storage.KeyFile, "its key")
	set.StringVar(&s.Encryption.ConfigFile, "encryption-provider-config", s.Encryption.ConfigFile, "EncryptionConfiguration")
	set.BoolVar(&s.Encryption.Reload, "encryption-provider-config-automatic-reload", s.Encryption.Reload, "read it again when it changes")
	set.Int32Var(&s.DeleteCollectionWorkers, "delete-collection-workers", s.DeleteCollectionWorkers, "objects of one deletecollection that are deleted side by side")
	set.DurationVar(&s.EventTTL.Duration, "event-ttl", s.EventTTL.Duration, "how long Events are kept")
}

func (f *Flags) addNodes() {
	set, c, s := f.set, f.config, &f.config.APIServer
	set.StringVar(&s.Kubelet.CAFile, "kubelet-certificate-authority", s.Kubelet.CAFile, "authorities of agents (default the cluster's)")
	set.StringVar(&s.Kubelet.CertFile, "kubelet-client-certificate", s.Kubelet.CertFile, "client certificate for agents (default one of the cluster's authority)")
	set.StringVar(&s.Kubelet.KeyFile, "kubelet-client-key", s.Kubelet.KeyFile, "its key")
	set.StringSliceVar(&s.Kubelet.PreferredAddressTypes, "kubelet-preferred-address-types", s.Kubelet.PreferredAddressTypes, "types of node addresses to try")
	set.StringVar(&s.Proxy.CertFile, "proxy-client-cert-file", s.Proxy.CertFile, "certificate that aggregated servers are shown (default one of an authority of its own)")
	set.StringVar(&s.Proxy.KeyFile, "proxy-client-key-file", s.Proxy.KeyFile, "its key")
	set.Bool("enable-aggregator-routing", true, "route to endpoints of Services, as is always done")
	set.StringVar(&c.Network.ServiceCIDR, "service-cluster-ip-range", c.Network.ServiceCIDR, "range of ClusterIPs, IPv4 or IPv6")
	if base, size, err := c.Network.PortRange(); err == nil {
		f.nodePorts = utilnet.PortRange{Base: base, Size: size}
	}
	set.Var(&f.nodePorts, "service-node-port-range", "range of node ports")
	stock := pflag.NewFlagSet("metrics", pflag.ContinueOnError)
	f.metrics.AddFlags(stock)
	for _, name := range metricFlags() {
		set.AddFlag(stock.Lookup(name))
	}
}

// metricFlags returns the flags of the stock code for metrics that have an
// effect here.
func metricFlags() []string {
	return []string{"allow-metric-labels", "allow-metric-labels-manifest", "disabled-metrics"}
}

// Complete sets what depends on several flags, and applies those of the process.
// It returns a line for each flag that has no effect.
func (f *Flags) Complete() ([]string, error) {
	warnings, err := f.checkOthers()
	if err != nil {
		return nil, err
	}
	c := f.config
	c.Nodes = new(int32)
	c.DataDir = filepath.Join(f.certDir, "coracle")
	c.Listen = net.JoinHostPort(f.bindAddress, strconv.Itoa(f.port))
	c.APIServer.MinRequestTimeout.Duration = seconds(f.minRequestSeconds)
	c.Network.NodePorts = fmt.Sprintf("%d-%d", f.nodePorts.Base, f.nodePorts.Base+f.nodePorts.Size-1)
	if err := f.completeServer(); err != nil {
		return nil, err
	}
	if err := f.completeAccess(&warnings); err != nil {
		return nil, err
	}
	f.completeAudit(&warnings)
	if f.changed(metricFlags()...) {
		if errs := f.metrics.Validate(); len(errs) > 0 {
			return nil, errors.Join(errs...)
		}
		f.metrics.Apply()
	}
	if f.contention && *c.APIServer.Profiling {
		runtime.SetBlockProfileRate(1)
	}
	return warnings, nil
}

func (f *Flags) completeServer() error {
	c := f.config
	if ranges := strings.Split(c.Network.ServiceCIDR, ","); len(ranges) > 1 {
		return fmt.Errorf("reading --service-cluster-ip-range=%s: Services have one family of addresses here, name one range", c.Network.ServiceCIDR)
	}
	if f.advertiseAddress != "" {
		ip, err := netip.ParseAddr(f.advertiseAddress)
		if err != nil {
			return fmt.Errorf("reading --advertise-address=%s: it is not an IP address", f.advertiseAddress)
		}
		if !ip.IsLoopback() && !ip.IsUnspecified() {
			c.AdvertiseAddress = ip.String()
		}
	}
	if c.APIServer.HTTP2.MaxStreamsPerConnection == 0 {
		c.APIServer.HTTP2.MaxStreamsPerConnection = 1000
	}
	for _, named := range f.sni {
		c.APIServer.TLS.SNICertificates = append(c.APIServer.TLS.SNICertificates, v1alpha1.NamedCertificate{CertFile: named.CertFile, KeyFile: named.KeyFile, Names: named.Names})
	}
	own := &c.APIServer.Certificate
	for name, path := range map[string]*string{"apiserver.crt": &own.CertFile, "apiserver.key": &own.KeyFile} {
		if _, err := os.Stat(filepath.Join(f.certDir, name)); err == nil && *path == "" {
			*path = filepath.Join(f.certDir, name)
		}
	}
	return nil
}

// changed reports whether one of the flags was given.
func (f *Flags) changed(names ...string) bool {
	for _, name := range names {
		if f.set.Changed(name) {
			return true
		}
	}
	return false
}
