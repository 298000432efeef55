package cluster

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/coracle-k8s/coracle/cluster/jointoken"
)

// joiner asks a server for membership: with the token at first, later with the
// certificate in dir. The keys that it makes never leave the machine.
type joiner struct {
	server *url.URL
	// token may be empty where dir has a certificate.
	token         string
	node, address string
	// dir is the agent's data directory.
	dir   string
	clock clock.WithTicker
	// first is the key of a first join that was not answered yet.
	first *ecdsa.PrivateKey
}

// membership holds what a node got by joining.
type membership struct {
	joinResponse
	client, serving tls.Certificate
	authority       *x509.CertPool
	expires         time.Time
}

// refused is a server's no, which asking again does not change.
type refused struct{ reason string }

func (r *refused) Error() string { return r.reason }

// later is a server's no for a time.
type later struct {
	reason string
	after  time.Duration
}

func (l *later) Error() string { return l.reason }

// soonest returns how long to wait after err before asking again, at least.
func soonest(err error) time.Duration {
	var wait *later
	if errors.As(err, &wait) {
		return wait.after
	}
	return 0
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
		timer := j.clock.NewTimer(max(delay, soonest(err)))
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

// joinProof holds what the server is shown, and by what it is known.
type joinProof struct {
	pin jointoken.Pin
	// bearer is a bootstrap token; without, member has the certificate.
	bearer string
	member *agentIdentity
}

// proof returns the certificate in the data directory if it is good, else the token.
func (j *joiner) proof() (joinProof, error) {
	kept, err := readAgentIdentity(j.dir)
	if err != nil {
		return joinProof{}, err
	}
	c := joinProof{member: kept}
	if j.token != "" {
		c.pin, c.bearer, err = jointoken.Parse(j.token)
	} else if kept != nil && kept.cert != nil {
		c.pin, err = kept.pin()
	}
	if err != nil {
		return joinProof{}, err
	}
	if kept.good(j.node, c.pin, j.clock.Now()) {
		c.bearer = ""
	} else if c.bearer == "" {
		return joinProof{}, fmt.Errorf("the data directory %s has no certificate of node %s that is good: %s", j.dir, j.node, "make a join token with coracle token create, where the server runs")
	}
	return c, nil
}

// key returns the key to request a certificate for: a new one for every renewal, and for a first
// join the one of earlier attempts, by which the server recognizes that the name is this agent's.
func (j *joiner) key(c joinProof) (*ecdsa.PrivateKey, error) {
	if c.bearer != "" && c.member != nil && c.member.cert == nil {
		return c.member.key, nil
	}
	if c.bearer != "" && j.first != nil {
		return j.first, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	if c.bearer == "" {
		return key, nil
	}
	j.first = key
	if c.member != nil { // what is kept is replaced when the new key has a certificate
		return key, nil
	}
	return key, (&agentIdentity{key: key}).write(j.dir)
}

// join gets certificates for new keys and keeps that for the server. An error that
// asking again may mend is not a *refused.
func (j *joiner) join(ctx context.Context) (*membership, error) {
	shown, err := j.proof()
	if err != nil {
		return nil, &refused{err.Error()}
	}
	clientKey, err := j.key(shown)
	if err != nil {
		return nil, err
	}
	servingKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	request := joinRequest{Node: j.node, Address: j.address}
	if request.ClientCSR, err = newCSR(clientKey); err != nil {
		return nil, err
	}
	if request.ServerCSR, err = newCSR(servingKey); err != nil {
		return nil, err
	}
	body, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("writing the join request: %w", err)
	}
	answer, err := j.post(ctx, shown, body)
	if err != nil {
		return nil, err
	}
	m := &membership{}
	if err := json.Unmarshal(answer, &m.joinResponse); err != nil {
		return nil, &refused{fmt.Sprintf("joining %s: the answer is not that of a Coracle server: %v", j.server, err)}
	}
	if err := m.complete(clientKey, servingKey); err != nil {
		return nil, err
	}
	j.first = nil
	return m, (&agentIdentity{key: clientKey, cert: m.client.Leaf, authority: []byte(m.CA)}).write(j.dir)
}

func (j *joiner) post(ctx context.Context, shown joinProof, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, j.server.JoinPath(joinPath).String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("writing the join request: %w", err)
	}
	config := &tls.Config{
		// The authority is known by its hash only: VerifyConnection checks it,
		// and by it the server, before anything is sent.
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS12,
		VerifyConnection: func(s tls.ConnectionState) error {
			return verifyPinned(s.PeerCertificates, shown.pin, j.server.Hostname(), j.clock.Now())
		},
	}
	if shown.bearer != "" {
		request.Header.Set("Authorization", "Bearer "+shown.bearer)
	} else {
		config.Certificates = []tls.Certificate{shown.member.tls()}
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: config, DialContext: j.dial}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("joining %s: %w", j.server, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("joining %s: %w", j.server, err)
	}
	return text, j.verdict(response, strings.TrimSpace(string(text)))
}

// dial connects from the node's address, which the server wants the connection to
// come from; the kernel might choose another one. Where that is not possible the
// server decides.
func (j *joiner) dial(ctx context.Context, network, address string) (net.Conn, error) {
	own := net.Dialer{Timeout: 3 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(j.address)}}
	if conn, err := own.DialContext(ctx, network, address); err == nil {
		return conn, nil
	}
	return (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, address)
}

// verdict returns nil if the server granted membership, else its refusal.
func (j *joiner) verdict(response *http.Response, text string) error {
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && response.StatusCode != http.StatusOK {
		return &later{reason: fmt.Sprintf("joining %s: %s", j.server, text), after: time.Duration(seconds) * time.Second}
	}
	switch response.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusUnauthorized:
		return &refused{fmt.Sprintf("joining %s: the server does not know the token or certificate, or it has expired: make a new token with coracle token create, where the server runs", j.server)}
	case http.StatusBadRequest, http.StatusConflict:
		return &refused{fmt.Sprintf("joining %s: %s", j.server, text)}
	}
	// A server that is still starting may forbid what it allows soon.
	return fmt.Errorf("joining %s: %s", j.server, response.Status)
}

// verifyPinned checks that the chain ends at the authority with that hash and
// is for the host.
func verifyPinned(chain []*x509.Certificate, pin jointoken.Pin, host string, now time.Time) error {
	roots := x509.NewCertPool()
	found := false
	for _, cert := range chain {
		if pin.Is(cert.Raw) {
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

// newCSR makes a certificate request for a key; the server sets the subject.
func newCSR(key *ecdsa.PrivateKey) (string, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return "", fmt.Errorf("making a certificate request: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
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
