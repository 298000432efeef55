// Package joinserver lets agents of other machines join a cluster: it decides about their requests,
// see package joins, and signs their certificates.
//
// The API of this package is not stable: see docs/api.md.
package joinserver

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-logr/logr"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/rest"
	bootstrapapi "k8s.io/cluster-bootstrap/token/api"
	"k8s.io/utils/clock"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apiserver/pki"
	"github.com/coracle-k8s/coracle/cluster/joins"
	"github.com/coracle-k8s/coracle/cluster/jointoken"
	"github.com/coracle-k8s/coracle/controllers/nodeipam"
)

// Config describes the server that agents join. All fields are required.
type Config struct {
	// Cluster is the configuration in force.
	Cluster *v1alpha1.Cluster
	// Server connects to the API server, which has the nodes and the ledger of joins.
	Server *rest.Config
	// Authority signs the client certificates of agents, NodeAuthority those they serve with.
	Authority, NodeAuthority *pki.Authority
	// Names are the names and addresses of the API server, which no agent gets.
	Names []string
	// OwnNodes returns the names of this process's real nodes, up or not.
	OwnNodes func() []string
	// Machine returns the addresses of this machine.
	Machine func() ([]netip.Addr, error)
	// PodRanges has the nodes' ranges of pod addresses.
	PodRanges *nodeipam.Ranges
	Clock     clock.PassiveClock
	Logger    logr.Logger
}

// Server answers the requests of agents, at joins.Path.
type Server struct {
	config Config
	// deciding is held while a join is decided; joinedBefore is set once
	// Config.PodRanges has the joins before this process started.
	deciding     sync.Mutex
	joinedBefore bool
}

var _ http.Handler = (*Server)(nil)

// New returns a Server.
func New(c Config) *Server { return &Server{config: c} }

// ServeHTTP implements http.Handler: it signs an agent's certificates, if joins.Plan grants them.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "POST a join request", http.StatusMethodNotAllowed)
		return
	}
	var req joins.WireRequest
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&req); err != nil {
		http.Error(w, "reading the join request: "+err.Error(), http.StatusBadRequest)
		return
	}
	response, err := s.join(r, req)
	var no *joins.Refusal
	switch {
	case errors.As(err, &no):
		if no.After > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(no.After.Seconds()))))
		}
		http.Error(w, no.Reason, no.Code)
		return
	case err != nil:
		s.config.Logger.Error(err, "Joining", "node", req.Node)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// A failed write is the agent's going away; it joins again.
	_ = json.NewEncoder(w).Encode(response)
}

func (s *Server) join(r *http.Request, req joins.WireRequest) (*joins.WireResponse, error) {
	asked, err := requester(r)
	if err != nil {
		return nil, err
	}
	asked.Node, asked.Address = req.Node, req.Address
	if asked.Key, err = requestedKey(req.ClientCSR); err == nil {
		_, err = requestedKey(req.ServerCSR)
	}
	if err != nil {
		return nil, &joins.Refusal{Code: http.StatusBadRequest, Reason: err.Error()}
	}
	cidr, err := s.admit(r.Context(), asked)
	if err != nil {
		return nil, err
	}
	now := s.config.Clock.Now()
	clientCert, err := s.config.Authority.Sign([]byte(req.ClientCSR), pki.Request{User: joins.NodeUser + req.Node, Groups: []string{user.NodesGroup, AgentGroup}}, now)
	if err != nil {
		return nil, err
	}
	server, err := s.config.NodeAuthority.Sign([]byte(req.ServerCSR), pki.Request{User: joins.NodeUser + req.Node, Groups: []string{user.NodesGroup}, Hosts: []string{req.Node, req.Address}}, now)
	if err != nil {
		return nil, err
	}
	return &joins.WireResponse{CA: string(s.config.Authority.PEM), ClientCert: string(clientCert), ServerCert: string(server),
		ServiceCIDR: s.config.Cluster.Network.ServiceCIDR, PodCIDR: s.config.Cluster.Network.PodCIDR, NodePodCIDR: cidr,
		ClusterDomain: s.config.Cluster.Network.ClusterDomain, ClusterDNS: s.config.Cluster.Network.ClusterDNS}, nil
}

// requester returns the client that joins and its address: the holder of a join
// token, or a node that showed its certificate itself. A client that may act as other
// users (impersonation, another authenticator) cannot renew a node's certificate.
func requester(r *http.Request) (joins.Request, error) {
	var asked joins.Request
	u, ok := request.UserFrom(r.Context())
	if !ok {
		return asked, &joins.Refusal{Code: http.StatusForbidden, Reason: "only the holder of a join token may join"}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return asked, fmt.Errorf("reading where the agent's connection comes from: %w", err)
	}
	asked.Peer = peer.Addr().Unmap().WithZone("")
	if id, isToken := strings.CutPrefix(u.GetName(), bootstrapapi.BootstrapUserPrefix); isToken && slices.Contains(u.GetGroups(), jointoken.Group) {
		asked.Token = id
		return asked, nil
	}
	node, isNode := strings.CutPrefix(u.GetName(), joins.NodeUser)
	if !isNode || !slices.Contains(u.GetGroups(), AgentGroup) || r.TLS == nil || len(r.TLS.PeerCertificates) == 0 ||
		r.TLS.PeerCertificates[0].Subject.CommonName != u.GetName() {
		return asked, &joins.Refusal{Code: http.StatusForbidden, Reason: "only the holder of a join token, or of a node's certificate, may join"}
	}
	asked.Certificate, asked.Shown = node, keyHash(r.TLS.PeerCertificates[0].RawSubjectPublicKeyInfo)
	return asked, nil
}

// requestedKey returns the hash of the public key that a request is for.
func requestedKey(csrPEM string) (string, error) {
	block, _ := pem.Decode([]byte(csrPEM))
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return "", errors.New("reading a certificate request: no PEM block of type CERTIFICATE REQUEST")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("reading a certificate request: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return "", fmt.Errorf("checking a certificate request: %w", err)
	}
	return keyHash(csr.RawSubjectPublicKeyInfo), nil
}

func keyHash(key []byte) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:])
}
