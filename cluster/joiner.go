package cluster

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"k8s.io/utils/clock"
)

// joiner asks a server for membership. Every time it makes new keys, which
// never leave the process.
type joiner struct {
	server        *url.URL
	token         string
	node, address string
	clock         clock.WithTicker
}

// membership is what a node got by joining.
type membership struct {
	joinResponse
	client, serving tls.Certificate
	authority       *x509.CertPool
	expires         time.Time
}

// refused is a server's no, which asking again does not change.
type refused struct{ reason string }

func (r *refused) Error() string { return r.reason }

// splitToken takes a token apart: the hash of the authority's certificate and
// the secret.
func splitToken(token string) (pin []byte, secret string, err error) {
	hash, secret, ok := strings.Cut(token, ".")
	pin, err = hex.DecodeString(hash)
	if !ok || err != nil || len(pin) != sha256.Size || secret == "" {
		return nil, "", errors.New("the join token is not one: take the content of the file agent-token in the server's data directory")
	}
	return pin, secret, nil
}

// makeToken is the join token of a cluster with that authority.
func makeToken(authority []byte, secret string) (string, error) {
	block, _ := pem.Decode(authority)
	if block == nil {
		return "", errors.New("making the join token: the authority is not PEM")
	}
	pin := sha256.Sum256(block.Bytes)
	return hex.EncodeToString(pin[:]) + "." + secret, nil
}

// joinPatiently joins, waiting for a server that does not answer yet; it
// reports each new trouble once.
func (j *joiner) joinPatiently(ctx context.Context, report func(string)) (*membership, error) {
	last := ""
	for delay := 250 * time.Millisecond; ; delay = min(2*delay, 5*time.Second) {
		m, err := j.join(ctx)
		var no *refused
		if err == nil || errors.As(err, &no) {
			return m, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if text := err.Error(); text != last {
			last = text
			report("waiting for the server: " + text)
		}
		timer := j.clock.NewTimer(delay)
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

// join gets certificates for new keys. An error that asking again may mend is
// not a *refused.
func (j *joiner) join(ctx context.Context) (*membership, error) {
	pin, _, err := splitToken(j.token)
	if err != nil {
		return nil, &refused{err.Error()}
	}
	clientKey, clientCSR, err := newKey()
	if err != nil {
		return nil, err
	}
	servingKey, servingCSR, err := newKey()
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(joinRequest{Node: j.node, Address: j.address, ClientCSR: clientCSR, ServerCSR: servingCSR})
	if err != nil {
		return nil, fmt.Errorf("writing the join request: %w", err)
	}
	answer, err := j.post(ctx, pin, body)
	if err != nil {
		return nil, err
	}
	m := &membership{}
	if err := json.Unmarshal(answer, &m.joinResponse); err != nil {
		return nil, &refused{fmt.Sprintf("joining %s: the answer is not that of a Coracle server: %v", j.server, err)}
	}
	return m, m.complete(clientKey, servingKey)
}

func (j *joiner) post(ctx context.Context, pin, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, j.server.JoinPath(joinPath).String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("writing the join request: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+j.token)
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		// The authority is known by its hash only: VerifyConnection checks it,
		// and by it the server, before anything is sent.
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS12,
		VerifyConnection: func(s tls.ConnectionState) error {
			return verifyPinned(s.PeerCertificates, pin, j.server.Hostname(), j.clock.Now())
		},
	}}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("joining %s: %w", j.server, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	switch {
	case err != nil:
		return nil, fmt.Errorf("joining %s: %w", j.server, err)
	case response.StatusCode == http.StatusUnauthorized:
		return nil, &refused{fmt.Sprintf("joining %s: the server does not know the token: take that of its data directory, in the file agent-token", j.server)}
	case response.StatusCode == http.StatusBadRequest:
		return nil, &refused{fmt.Sprintf("joining %s: %s", j.server, strings.TrimSpace(string(text)))}
	case response.StatusCode != http.StatusOK:
		// A server that is still starting may forbid what it allows soon.
		return nil, fmt.Errorf("joining %s: %s", j.server, response.Status)
	}
	return text, nil
}

// verifyPinned checks that the chain ends at the authority with that hash and
// is for the host.
func verifyPinned(chain []*x509.Certificate, pin []byte, host string, now time.Time) error {
	roots := x509.NewCertPool()
	found := false
	for _, cert := range chain {
		if sum := sha256.Sum256(cert.Raw); bytes.Equal(sum[:], pin) {
			roots.AddCert(cert)
			found = true
		}
	}
	if !found {
		return &refused{"the server is not of the cluster that the token is for"}
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: now}); err != nil {
		return &refused{fmt.Sprintf("checking the server's certificate: %v", err)}
	}
	return nil
}

func newKey() (key *ecdsa.PrivateKey, csr string, err error) {
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, "", fmt.Errorf("making a key: %w", err)
	}
	// The server decides who it is for.
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, "", fmt.Errorf("making a certificate request: %w", err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

// complete puts keys and certificates together.
func (m *membership) complete(clientKey, servingKey *ecdsa.PrivateKey) error {
	m.authority = x509.NewCertPool()
	if !m.authority.AppendCertsFromPEM([]byte(m.CA)) {
		return errors.New("reading the cluster's authority: no certificate")
	}
	var err error
	if m.client, err = withKey(m.ClientCert, clientKey); err != nil {
		return err
	}
	if m.serving, err = withKey(m.ServerCert, servingKey); err != nil {
		return err
	}
	m.expires = m.client.Leaf.NotAfter
	if m.serving.Leaf.NotAfter.Before(m.expires) {
		m.expires = m.serving.Leaf.NotAfter
	}
	return nil
}

func withKey(certPEM string, key *ecdsa.PrivateKey) (tls.Certificate, error) {
	block, _ := pem.Decode([]byte(certPEM))
	if block == nil {
		return tls.Certificate{}, errors.New("reading a certificate of the node: not PEM")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("reading a certificate of the node: %w", err)
	}
	if !key.PublicKey.Equal(leaf.PublicKey) {
		return tls.Certificate{}, errors.New("reading a certificate of the node: it is for another key")
	}
	return tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key, Leaf: leaf}, nil
}
