package cluster

import (
	"context"
	"crypto"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/keyutil"

	"github.com/coracle-k8s/coracle/apiserver"
	"github.com/coracle-k8s/coracle/apiserver/bootstrap"
	"github.com/coracle-k8s/coracle/apiserver/datafile"
	"github.com/coracle-k8s/coracle/apiserver/etcd"
	"github.com/coracle-k8s/coracle/apiserver/pki"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/cluster/datadir"
	"github.com/coracle-k8s/coracle/cluster/host"
	"github.com/coracle-k8s/coracle/cluster/joins"
	"github.com/coracle-k8s/coracle/cluster/keys"
)

func (c *Cluster) path(elements ...string) string {
	return filepath.Join(append([]string{c.config.DataDir}, elements...)...)
}

func (c *Cluster) startServer(ctx context.Context, listeners []net.Listener) error {
	if err := c.openKeys(ctx); err != nil {
		closeAll(listeners)
		return err
	}
	resources, err := c.resources()
	if err != nil {
		closeAll(listeners)
		return err
	}
	config := apiserver.Config{
		Scheme:    c.scheme,
		Resources: resources,
		Listeners: listeners,
		Authority: c.pki,
		Issuer:    "https://kubernetes.default.svc." + c.config.Network.ClusterDomain,
		Services:  c.serviceNetwork(),
		Clock:     c.options.clock,
		Components: map[string]func(context.Context) error{
			"controller-manager": c.checkParts, "scheduler": c.checkParts,
		},
		Checks:            c.healthChecks(),
		Settings:          c.config.APIServer,
		UncheckedPolicies: !c.config.Controllers.Any(),
		Metrics:           []prometheus.Gatherer{c.metrics, dutyMetrics{c}},
		Report: func(err error) {
			c.options.logger.Error(err, "the API server")
			c.options.progress(err.Error())
		},
	}
	if issuer := c.config.APIServer.ServiceAccounts.Issuer; issuer != "" {
		config.Issuer = issuer
	}
	config.Etcd, err = c.etcd()
	if err == nil {
		err = c.credentials(&config)
	}
	c.nodes = newConnector(c)
	if k := c.config.APIServer.Kubelet; err == nil && k.CAFile+k.CertFile != "" {
		_, err = c.nodes.remoteTransport() // reads the files
	}
	if err == nil {
		err = c.noteIdentity()
	}
	if err != nil {
		closeAll(listeners)
		return err
	}
	config.Nodes = c.nodes
	config.Extra = map[string]http.Handler{joins.Path: http.HandlerFunc(c.serveJoin), StatusPath: http.HandlerFunc(c.serveStatus)}
	c.server, err = apiserver.Start(ctx, config)
	return err
}

// healthChecks returns the checks of what upstream's API server runs and here
// the cluster does.
func (c *Cluster) healthChecks() map[string]func() error {
	bootstrapped := func() error {
		if !c.bootstrapped.Load() {
			return errors.New("not finished")
		}
		return nil
	}
	runs := func() error { return c.checkParts(context.Background()) }
	checks := map[string]func() error{
		"start-system-namespaces-controller": bootstrapped, "bootstrap-controller": bootstrapped, "start-cluster-authentication-info-controller": bootstrapped,
		"start-legacy-token-tracking-controller": runs, "start-service-ip-repair-controllers": runs,
	}
	if *c.config.LeaderElection.LeaderElect {
		checks["start-kube-apiserver-identity-lease-controller"] = runs
		checks["start-kube-apiserver-identity-lease-garbage-collector"] = runs
	}
	return checks
}

// checkParts returns why controllers and scheduler do not run: they share a manager.
func (c *Cluster) checkParts(context.Context) error {
	p := c.working.Load()
	if p == nil {
		return errors.New("not started yet")
	}
	select {
	case <-p.done:
		return errors.New("has ended")
	default:
		return nil
	}
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		l.Close()
	}
}

// etcd returns the configuration of the server's storage.
func (c *Cluster) etcd() (etcd.Config, error) {
	s := c.config.Storage
	config := etcd.Config{Dir: c.path("etcd"), UnsafeNoFsync: s.UnsafeNoFsync, Endpoints: s.Endpoints, Errors: func(msg string) { c.options.logger.Info(msg) }}
	if s.CAFile == "" && s.CertFile == "" {
		return config, nil
	}
	var err error
	config.TLS, err = transport.TLSInfo{TrustedCAFile: s.CAFile, CertFile: s.CertFile, KeyFile: s.KeyFile}.ClientConfig()
	if err != nil {
		return etcd.Config{}, fmt.Errorf("reading the files for etcd: %w", err)
	}
	return config, nil
}

// openKeys opens the cluster's authorities, making them the first time: a data
// directory of an earlier version has none of nodes. Where servers share an etcd, they share
// it, and keys, through that.
func (c *Cluster) openKeys(ctx context.Context) error {
	err := datafile.RemoveTemporary(c.config.DataDir)
	if err != nil {
		return fmt.Errorf("removing what was not completed: %w", err)
	}
	if len(c.config.Storage.Endpoints) > 0 {
		if err = c.shareKeys(ctx); err != nil {
			return err
		}
	}
	if c.pki, err = c.openAuthority("pki"); err != nil {
		return err
	}
	c.nodeCA, err = c.openAuthority(keys.NodeAuthority)
	return err
}

// openAuthority opens the authority in a directory below the data directory.
func (c *Cluster) openAuthority(dir string) (*pki.Authority, error) {
	a, err := pki.Open(c.path(dir), c.options.clock.Now())
	if err == nil {
		a.Report = c.options.progress
	}
	return a, err
}

func (c *Cluster) shareKeys(ctx context.Context) error {
	config, err := c.etcd()
	if err != nil {
		return err
	}
	shared, err := etcd.Start(ctx, config)
	if err != nil {
		return err
	}
	defer shared.Stop()
	return keys.Share(ctx, keys.Config{
		Dir: c.config.DataDir, Client: shared.Client.Client, Etcd: strings.Join(config.Endpoints, ","), Make: c.makeKeys,
	})
}

// makeKeys makes what all servers of a cluster have in common.
func (c *Cluster) makeKeys() error {
	for _, dir := range keys.Authorities() {
		if _, err := c.openAuthority(dir); err != nil {
			return err
		}
	}
	var err error
	if c.pki, err = c.openAuthority("pki"); err != nil {
		return err
	}
	_, err = c.pki.Key("service-account")
	return err
}

// credentials returns the server's certificate and the keys of service account tokens.
func (c *Cluster) credentials(config *apiserver.Config) error {
	if err := c.certificate(config); err != nil {
		return err
	}
	if err := c.tokenKeys(config); err != nil {
		return err
	}
	proxy, err := c.openProxy()
	if err != nil {
		return err
	}
	config.Proxy = proxy
	return c.removeOldToken()
}

// certificate returns the configured one, or one of the cluster's own authority.
func (c *Cluster) certificate(config *apiserver.Config) error {
	var err error
	c.serverCA = c.pki.PEM
	if files := c.config.APIServer.Certificate; files.CertFile != "" {
		// Its issuer is not known, so clients are configured to trust the certificate itself.
		if c.serverCA, err = os.ReadFile(files.CertFile); err == nil {
			config.Certificate, err = tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
		}
		if err != nil {
			return fmt.Errorf("loading the server's certificate: %w", err)
		}
		return nil
	}
	pair, err := c.pki.Certificate(pki.Request{Name: "apiserver", User: "kube-apiserver", Hosts: c.serverNames()}, c.options.clock.Now())
	if err != nil {
		return err
	}
	if config.Certificate, err = pair.TLS(); err != nil {
		return fmt.Errorf("loading the server's certificate: %w", err)
	}
	// Agents know the authority by its hash only, so the server shows it.
	if block, _ := pem.Decode(c.pki.PEM); block != nil {
		config.Certificate.Certificate = append(config.Certificate.Certificate, block.Bytes)
	}
	return nil
}

// tokenKeys sign and check the tokens of service accounts.
func (c *Cluster) tokenKeys(config *apiserver.Config) error {
	accounts := c.config.APIServer.ServiceAccounts
	for _, file := range accounts.KeyFiles {
		keys, err := keyutil.PublicKeysFromFile(file)
		if err != nil {
			return fmt.Errorf("reading keys of service account tokens: %w", err)
		}
		for _, key := range keys {
			config.ServiceAccountKeys = append(config.ServiceAccountKeys, key)
		}
	}
	// The directory has a key of its own, part of its identity, also when another one signs.
	own, err := c.pki.Key("service-account")
	if err != nil || accounts.SigningKeyFile == "" {
		config.ServiceAccountKey = own
		return err
	}
	key, err := keyutil.PrivateKeyFromFile(accounts.SigningKeyFile)
	if err != nil {
		return fmt.Errorf("reading the key that signs service account tokens: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return fmt.Errorf("reading %s: a %T does not sign tokens, use an RSA or ECDSA key", accounts.SigningKeyFile, key)
	}
	config.ServiceAccountKey = signer
	return nil
}

func (c *Cluster) serverNames() []string {
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + c.config.Network.ClusterDomain,
		"127.0.0.1", "::1", c.serviceIP().String()}
	for _, name := range append([]string{c.address.Addr().String(), c.outwardAddress()}, c.config.ExtraNames...) {
		if name != "" && name != "0.0.0.0" && name != "::" && name != "127.0.0.1" {
			names = append(names, name)
		}
	}
	if host, err := os.Hostname(); err == nil {
		names = append(names, strings.ToLower(host))
	}
	return names
}

// listen binds the configured address. When that is on loopback and there are
// real nodes, it also binds the first node's address, so that pods and other
// nodes reach the API.
func (c *Cluster) listen() ([]net.Listener, error) {
	first, err := bind(c.config.Listen, net.ListenConfig{})
	if err != nil {
		return nil, err
	}
	c.address = first.Addr().(*net.TCPAddr).AddrPort()
	c.address = netip.AddrPortFrom(c.address.Addr().Unmap(), c.address.Port())
	listeners := []net.Listener{first}
	if address := c.nodeAddress(); c.address.Addr().IsLoopback() && *c.config.Nodes > 0 && address != "" && address != "127.0.0.1" {
		// The network may set that address up later.
		second, err := bind(net.JoinHostPort(address, fmt.Sprint(c.address.Port())), net.ListenConfig{Control: bindEarly})
		if err != nil {
			first.Close()
			return nil, err
		}
		listeners = append(listeners, second)
	}
	if c.address.Addr().IsUnspecified() {
		c.address = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), c.address.Port())
	}
	return listeners, nil
}

func bind(address string, config net.ListenConfig) (net.Listener, error) {
	l, err := config.Listen(context.Background(), "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listening on %s: the port is in use; free it or choose another with --listen (port 0 picks a free one)", address)
	}
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return nil, fmt.Errorf("listening on %s: this machine does not have that address; choose another with --listen", address)
	}
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	return l, nil
}

// advertised returns the server's address for pods, not valid if they cannot reach it.
func (c *Cluster) advertised() netip.AddrPort {
	address := c.address.Addr()
	if c.config.AdvertiseAddress != "" || address.IsLoopback() {
		node, err := netip.ParseAddr(c.outwardAddress())
		if err != nil || node.IsLoopback() {
			return netip.AddrPort{}
		}
		address = node
	}
	return netip.AddrPortFrom(address, c.address.Port())
}

// outwardAddress returns the server's address for other machines when its own
// address is loopback: the configured one, that of the first node, or, when it
// listens on all addresses, the one from which this machine reaches others.
func (c *Cluster) outwardAddress() string {
	if c.config.AdvertiseAddress != "" {
		return c.config.AdvertiseAddress
	}
	if address := c.nodeAddress(); address != "" {
		return address
	}
	address, _, err := net.SplitHostPort(c.config.Listen)
	if ip := net.ParseIP(address); err == nil && (address == "" || ip != nil && ip.IsUnspecified()) {
		return host.AddressTowards("192.0.2.1")
	}
	return ""
}

func (c *Cluster) serviceIP() netip.Addr {
	return netip.MustParsePrefix(c.config.Network.ServiceCIDR).Addr().Next() // Validate checked it
}

func (c *Cluster) serviceNetwork() registry.ServiceNetwork {
	base, size, _ := c.config.Network.PortRange() // Validate checked it
	return registry.ServiceNetwork{CIDR: c.config.Network.ServiceCIDR, NodePortBase: base, NodePortSize: size}
}

func (c *Cluster) bootstrapConfig() bootstrap.Config {
	config := bootstrap.Config{ServiceIP: c.serviceIP(), Authentication: c.proxyAuthentication}
	if !*c.config.LeaderElection.LeaderElect { // else it is a peer's matter
		config.Advertise = c.advertised()
	}
	return config
}

// writeKubeconfig makes the administrator's kubeconfig.
func (c *Cluster) writeKubeconfig() error {
	pair, err := c.pki.Certificate(pki.Request{Name: "admin", User: "kubernetes-admin", Groups: []string{user.SystemPrivilegedGroup}}, c.options.clock.Now())
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["coracle"] = &clientcmdapi.Cluster{Server: c.URL(), CertificateAuthorityData: c.serverCA}
	config.AuthInfos["coracle"] = &clientcmdapi.AuthInfo{ClientCertificateData: pair.Cert, ClientKeyData: pair.Key}
	config.Contexts["coracle"] = &clientcmdapi.Context{Cluster: "coracle", AuthInfo: "coracle"}
	config.CurrentContext = "coracle"
	c.kubeconfig = c.path("kubeconfig")
	data, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", c.kubeconfig, err)
	}
	old, err := clientcmd.LoadFromFile(c.kubeconfig)
	if c.identity.continued && (err != nil || old.CurrentContext != config.CurrentContext || old.AuthInfos["coracle"] == nil) {
		c.options.progress(fmt.Sprintf("making %s, which is missing or damaged", c.kubeconfig))
	}
	if err := datafile.Write(c.kubeconfig, data); err != nil {
		return fmt.Errorf("writing %s: %w", c.kubeconfig, err)
	}
	return nil
}

// removeOldToken removes the token that agents joined with in earlier versions,
// which never expired and is good for nothing any more.
func (c *Cluster) removeOldToken() error {
	err := os.Remove(c.path(datadir.OldTokenFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing the old join token: %w", err)
	}
	c.options.progress("removed the file " + datadir.OldTokenFile + ", which is good for nothing any more: agents join with what coracle token create prints")
	return nil
}
