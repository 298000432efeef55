package agent

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

	"github.com/coracle-k8s/coracle/cluster/joins"
	"github.com/coracle-k8s/coracle/cluster/jointoken"
)

// Joiner asks a server for membership: with the token at first, later with the
// certificate in Dir. The keys that it makes never leave the machine.
type Joiner struct {
	Server *url.URL
	// Token may be empty where Dir has a certificate.
	Token string
	// Node and Address are the name and the IP address that the node is to have.
	Node, Address string
	// Dir is the agent's data directory.
	Dir   string
	Clock clock.WithTicker
	// first is the key of a first join that was not answered yet.
	first *ecdsa.PrivateKey
}

// Membership holds what a node got by joining.
type Membership struct {
	joins.WireResponse
	// Client authenticates the agent to the server, Serving the node's API to its clients.
	Client, Serving tls.Certificate
	// Authority is that of the cluster.
	Authority *x509.CertPool
	expires   time.Time
}

// Refused is returned for a refusal that stays when the agent asks again.
type Refused struct{ Reason string }

// Error implements error.
func (r *Refused) Error() string { return r.Reason }

// Later is returned for a refusal that may end after a time.
type Later struct {
	Reason string
	After  time.Duration
}

// Error implements error.
func (l *Later) Error() string { return l.Reason }

// soonest returns how long to wait after err before asking again, at least.
func soonest(err error) time.Duration {
	var wait *Later
	if errors.As(err, &wait) {
		return wait.After
	}
	return 0
}

// JoinPatiently joins, waiting for a server that does not answer yet; it
// reports each new trouble once.
func (j *Joiner) JoinPatiently(ctx context.Context, report func(string)) (*Membership, error) {
	last := ""
	for delay := 250 * time.Millisecond; ; delay = min(2*delay, 5*time.Second) {
		m, err := j.Join(ctx)
		var no *Refused
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
		timer := j.Clock.NewTimer(max(delay, soonest(err)))
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
func (j *Joiner) proof() (joinProof, error) {
	kept, err := readAgentIdentity(j.Dir)
	if err != nil {
		return joinProof{}, err
	}
	c := joinProof{member: kept}
	if j.Token != "" {
		c.pin, c.bearer, err = jointoken.Parse(j.Token)
	} else if kept != nil && kept.cert != nil {
		c.pin, err = kept.pin()
	}
	if err != nil {
		return joinProof{}, err
	}
	if kept.good(j.Node, c.pin, j.Clock.Now()) {
		c.bearer = ""
	} else if c.bearer == "" {
		return joinProof{}, fmt.Errorf("the data directory %s has no certificate of node %s that is good: %s", j.Dir, j.Node, "make a join token with coracle token create, where the server runs")
	}
	return c, nil
}

// key returns the key to request a certificate for: a new one for every renewal, and for a first
// join the one of earlier attempts, by which the server recognizes that the name is this agent's.
func (j *Joiner) key(c joinProof) (*ecdsa.PrivateKey, error) {
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
	return key, (&agentIdentity{key: key}).write(j.Dir)
}

// Join gets certificates for new keys and keeps that for the server. An error that
// asking again may mend is not a *Refused.
func (j *Joiner) Join(ctx context.Context) (*Membership, error) {
	shown, err := j.proof()
	if err != nil {
		return nil, &Refused{err.Error()}
	}
	clientKey, err := j.key(shown)
	if err != nil {
		return nil, err
	}
	servingKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	request := joins.WireRequest{Node: j.Node, Address: j.Address}
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
	m := &Membership{}
	if err := json.Unmarshal(answer, &m.WireResponse); err != nil {
		return nil, &Refused{fmt.Sprintf("joining %s: the answer is not that of a Coracle server: %v", j.Server, err)}
	}
	if err := m.complete(clientKey, servingKey); err != nil {
		return nil, err
	}
	j.first = nil
	return m, (&agentIdentity{key: clientKey, cert: m.Client.Leaf, authority: []byte(m.CA)}).write(j.Dir)
}

func (j *Joiner) post(ctx context.Context, shown joinProof, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, j.Server.JoinPath(joins.Path).String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("writing the join request: %w", err)
	}
	config := &tls.Config{
		// The authority is known by its hash only: VerifyConnection checks it,
		// and by it the server, before anything is sent.
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, //nolint:gosec // VerifyConnection verifies
		VerifyConnection: func(s tls.ConnectionState) error {
			return verifyPinned(s.PeerCertificates, shown.pin, j.Server.Hostname(), j.Clock.Now())
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
		return nil, fmt.Errorf("joining %s: %w", j.Server, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("joining %s: %w", j.Server, err)
	}
	return text, j.verdict(response, strings.TrimSpace(string(text)))
}

// dial connects from the node's address, which the server wants the connection to
// come from; the kernel might choose another one. Where that is not possible the
// server decides.
func (j *Joiner) dial(ctx context.Context, network, address string) (net.Conn, error) {
	own := net.Dialer{Timeout: 3 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(j.Address)}}
	if conn, err := own.DialContext(ctx, network, address); err == nil {
		return conn, nil
	}
	return (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, address)
}

// verdict returns nil if the server granted membership, else its refusal.
func (j *Joiner) verdict(response *http.Response, text string) error {
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && response.StatusCode != http.StatusOK {
		return &Later{Reason: fmt.Sprintf("joining %s: %s", j.Server, text), After: time.Duration(seconds) * time.Second}
	}
	switch response.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusUnauthorized:
		return &Refused{fmt.Sprintf("joining %s: the server does not know the token or certificate, or it has expired: make a new token with coracle token create, where the server runs", j.Server)}
	case http.StatusBadRequest, http.StatusConflict:
		return &Refused{fmt.Sprintf("joining %s: %s", j.Server, text)}
	}
	// A server that is still starting may forbid what it allows soon.
	return fmt.Errorf("joining %s: %s", j.Server, response.Status)
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
		return &Refused{"the server is not of the cluster that the token is for"}
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: now}); err != nil {
		return &Refused{fmt.Sprintf("checking the server's certificate: %v", err)}
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
func (m *Membership) complete(clientKey, servingKey *ecdsa.PrivateKey) error {
	m.Authority = x509.NewCertPool()
	if !m.Authority.AppendCertsFromPEM([]byte(m.CA)) {
		return errors.New("reading the cluster's authority: no certificate")
	}
	var err error
	if m.Client, err = withKey(m.ClientCert, clientKey); err != nil {
		return err
	}
	if m.Serving, err = withKey(m.ServerCert, servingKey); err != nil {
		return err
	}
	m.expires = m.Client.Leaf.NotAfter
	if m.Serving.Leaf.NotAfter.Before(m.expires) {
		m.expires = m.Serving.Leaf.NotAfter
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
