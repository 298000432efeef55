// Package credentials opens the keys and certificates of a cluster's server, and makes those
// that are not there yet.
//
// The API of this package is not stable: see docs/api.md.
package credentials

import (
	"context"
	"crypto"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/util/keyutil"
	"k8s.io/utils/clock"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apiserver/datafile"
	"github.com/coracle-k8s/coracle/apiserver/etcd"
	"github.com/coracle-k8s/coracle/apiserver/pki"
	"github.com/coracle-k8s/coracle/cluster/datadir"
	"github.com/coracle-k8s/coracle/cluster/joins"
	"github.com/coracle-k8s/coracle/cluster/keys"
)

// Config describes a server. All fields are required.
type Config struct {
	// Cluster is the configuration in force, with an absolute path of the data directory.
	Cluster *v1alpha1.Cluster
	// Names are those that the server's certificate is for.
	Names []string
	// Etcd reaches the etcd that several servers share, if they do.
	Etcd  etcd.Config
	Clock clock.PassiveClock
	// Report is called with what was made again or removed.
	Report func(string)
}

// Credentials are those of a server.
type Credentials struct {
	config Config
	// Authority signs the certificates of clients and of the server.
	Authority *pki.Authority
	// NodeAuthority signs the serving certificates of agents. Clients do not accept them as
	// those of the API server.
	NodeAuthority *pki.Authority
	// ServerCA has the certificates, as PEM, that clients verify the server with.
	ServerCA []byte
	// Certificate is the server's.
	Certificate tls.Certificate
	// TokenKey signs the tokens of service accounts. TokenKeys check them besides.
	TokenKey  crypto.Signer
	TokenKeys []crypto.PublicKey
	// Proxy is the client certificate that aggregated API servers get to see.
	Proxy tls.Certificate
	// Authentication has what aggregated API servers need to authenticate this one: the data of
	// the ConfigMap extension-apiserver-authentication.
	Authentication map[string]string
}

// Open opens the credentials of a server. The first start makes them, and so does the first one
// after an earlier version that had no authority of nodes. Servers that share an etcd have the
// same authorities and token key, which they exchange through it.
func Open(ctx context.Context, config Config) (*Credentials, error) {
	c := &Credentials{config: config}
	if err := datafile.RemoveTemporary(config.Cluster.DataDir); err != nil {
		return nil, fmt.Errorf("removing what was not completed: %w", err)
	}
	if len(config.Cluster.Storage.Endpoints) > 0 {
		if err := c.share(ctx); err != nil {
			return nil, err
		}
	}
	var err error
	if c.Authority, err = c.open("pki"); err != nil {
		return nil, err
	}
	if c.NodeAuthority, err = c.open(keys.NodeAuthority); err != nil {
		return nil, err
	}
	for _, read := range []func() error{c.readCertificate, c.readTokenKeys, c.readProxy, c.removeOldToken} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *Credentials) path(elements ...string) string {
	return filepath.Join(append([]string{c.config.Cluster.DataDir}, elements...)...)
}

// open opens the authority in a directory below the data directory.
func (c *Credentials) open(dir string) (*pki.Authority, error) {
	a, err := pki.Open(c.path(dir), c.config.Clock.Now())
	if err == nil {
		a.Report = c.config.Report
	}
	return a, err
}

// share exchanges keys with the other servers.
func (c *Credentials) share(ctx context.Context) error {
	shared, err := etcd.Start(ctx, c.config.Etcd)
	if err != nil {
		return err
	}
	defer shared.Stop()
	return keys.Share(ctx, keys.Config{
		Dir: c.config.Cluster.DataDir, Client: shared.Client.Client, Etcd: strings.Join(c.config.Etcd.Endpoints, ","), Make: c.makeShared,
	})
}

// makeShared makes what all servers of a cluster have in common.
func (c *Credentials) makeShared() error {
	for _, dir := range keys.Authorities() {
		if _, err := c.open(dir); err != nil {
			return err
		}
	}
	authority, err := c.open("pki")
	if err != nil {
		return err
	}
	_, err = authority.Key("service-account")
	return err
}

// readCertificate reads the configured certificate, or one of the cluster's own authority.
func (c *Credentials) readCertificate() error {
	var err error
	c.ServerCA = c.Authority.PEM
	if files := c.config.Cluster.APIServer.Certificate; files.CertFile != "" {
		// Its issuer is not known, so clients are configured to trust the certificate itself.
		if c.ServerCA, err = os.ReadFile(files.CertFile); err == nil {
			c.Certificate, err = tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
		}
		if err != nil {
			return fmt.Errorf("loading the server's certificate: %w", err)
		}
		return nil
	}
	pair, err := c.Authority.Certificate(pki.Request{Name: "apiserver", User: "kube-apiserver", Hosts: c.config.Names}, c.config.Clock.Now())
	if err != nil {
		return err
	}
	if c.Certificate, err = pair.TLS(); err != nil {
		return fmt.Errorf("loading the server's certificate: %w", err)
	}
	// Agents know the authority by its hash only, so the server shows it.
	if block, _ := pem.Decode(c.Authority.PEM); block != nil {
		c.Certificate.Certificate = append(c.Certificate.Certificate, block.Bytes)
	}
	return nil
}

// readTokenKeys reads the keys that sign and check the tokens of service accounts.
func (c *Credentials) readTokenKeys() error {
	accounts := c.config.Cluster.APIServer.ServiceAccounts
	for _, file := range accounts.KeyFiles {
		keys, err := keyutil.PublicKeysFromFile(file)
		if err != nil {
			return fmt.Errorf("reading keys of service account tokens: %w", err)
		}
		for _, key := range keys {
			c.TokenKeys = append(c.TokenKeys, key)
		}
	}
	// The directory has a key of its own, part of its identity, also when another one signs.
	own, err := c.Authority.Key("service-account")
	if err != nil {
		return err
	}
	c.TokenKey = own
	if accounts.SigningKeyFile == "" {
		return nil
	}
	key, err := keyutil.PrivateKeyFromFile(accounts.SigningKeyFile)
	if err != nil {
		return fmt.Errorf("reading the key that signs service account tokens: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return fmt.Errorf("reading %s: a %T does not sign tokens, use an RSA or ECDSA key", accounts.SigningKeyFile, key)
	}
	c.TokenKey = signer
	return nil
}

// AgentClient returns the client certificate for agents of other processes.
func (c *Credentials) AgentClient() (tls.Certificate, error) {
	pair, err := c.Authority.Certificate(pki.Request{Name: "apiserver-agent-client", User: "kube-apiserver-kubelet-client", Groups: []string{joins.APIClients}}, c.config.Clock.Now())
	if err != nil {
		return tls.Certificate{}, err
	}
	return pair.TLS()
}

// removeOldToken removes the token that agents joined with in earlier versions,
// which never expired and is good for nothing any more.
func (c *Credentials) removeOldToken() error {
	err := os.Remove(c.path(datadir.OldTokenFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing the old join token: %w", err)
	}
	c.config.Report("removed the file " + datadir.OldTokenFile + ", which is good for nothing any more: agents join with what coracle token create prints")
	return nil
}
