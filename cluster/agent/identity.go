package agent

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/coracle-k8s/coracle/apiserver/datafile"
	"github.com/coracle-k8s/coracle/cluster/joins"
	"github.com/coracle-k8s/coracle/cluster/jointoken"
)

// agentIdentity holds an agent's membership, from its data directory: the key and certificate
// that authenticate it to the server, and the cluster's authority, which authenticates the
// server. With them it joins again, whatever became of the token that it came with.
//
// The key is written before a certificate is requested for it: after a lost answer the
// request is repeated with the same key.
type agentIdentity struct {
	key *ecdsa.PrivateKey
	// cert is nil before the first join.
	cert *x509.Certificate
	// authority is PEM.
	authority []byte
}

// clientFile has the key and its certificate, authorityFile the authority's.
const clientFile, authorityFile = "client.pem", "ca.crt"

// readAgentIdentity returns what is in an agent's data directory, or nil if there is
// nothing. Keys that others may read are an error.
func readAgentIdentity(dir string) (*agentIdentity, error) {
	path := filepath.Join(dir, "pki", clientFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the agent's key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("reading the agent's key: others may read %s (mode %#o): chmod 600 it, and if they may have, delete the Node and join with a new token", path, mode)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the agent's key: %w", err)
	}
	id := &agentIdentity{}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "EC PRIVATE KEY":
			id.key, err = x509.ParseECPrivateKey(block.Bytes)
		case "CERTIFICATE":
			id.cert, err = x509.ParseCertificate(block.Bytes)
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
	}
	if id.key == nil || id.cert != nil && !id.key.PublicKey.Equal(id.cert.PublicKey) {
		return nil, fmt.Errorf("reading %s: it has no key, or one of another certificate", path)
	}
	id.authority, err = os.ReadFile(filepath.Join(dir, "pki", authorityFile))
	if err != nil && (id.cert != nil || !errors.Is(err, fs.ErrNotExist)) {
		return nil, fmt.Errorf("reading the cluster's authority: %w", err)
	}
	return id, nil
}

// write keeps the identity in an agent's data directory.
func (i *agentIdentity) write(dir string) error {
	der, err := x509.MarshalECPrivateKey(i.key)
	if err != nil {
		return fmt.Errorf("encoding the agent's key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	if i.cert != nil {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw})...)
	}
	if err = os.MkdirAll(filepath.Join(dir, "pki"), 0o700); err == nil && i.cert != nil {
		err = datafile.Write(filepath.Join(dir, "pki", authorityFile), i.authority)
	}
	if err == nil {
		err = datafile.Write(filepath.Join(dir, "pki", clientFile), text)
	}
	if err != nil {
		return fmt.Errorf("keeping the agent's key: %w", err)
	}
	return nil
}

// pin returns the hash of the authority.
func (i *agentIdentity) pin() (jointoken.Pin, error) { return jointoken.NewPin(i.authority) }

// good reports whether the identity is that of a member of the cluster with that
// authority, under that name, at the time now.
func (i *agentIdentity) good(node string, pin jointoken.Pin, now time.Time) bool {
	if i == nil || i.cert == nil {
		return false
	}
	own, err := i.pin()
	return err == nil && own == pin && i.cert.Subject.CommonName == joins.NodeUser+node && now.Before(i.cert.NotAfter) && !now.Before(i.cert.NotBefore)
}

// tls returns what the server is shown.
func (i *agentIdentity) tls() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{i.cert.Raw}, PrivateKey: i.key, Leaf: i.cert}
}
