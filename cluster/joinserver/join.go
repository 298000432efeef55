package cluster

import (
	"context"
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

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	bootstrapapi "k8s.io/cluster-bootstrap/token/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apiserver/pki"
	"github.com/coracle-k8s/coracle/cluster/host"
	"github.com/coracle-k8s/coracle/cluster/joins"
	"github.com/coracle-k8s/coracle/cluster/jointoken"
)

const (
	// joinRole lets its subjects join.
	joinRole = "coracle:join"
	// agentGroup are the agents; they may do what a node's proxy may.
	agentGroup = "coracle:agents"
)

// serveJoin signs an agent's certificates, if joins.Plan grants them.
func (c *Cluster) serveJoin(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "POST a join request", http.StatusMethodNotAllowed)
		return
	}
	var req joins.WireRequest
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&req); err != nil {
		http.Error(w, "reading the join request: "+err.Error(), http.StatusBadRequest)
		return
	}
	response, err := c.join(r, req)
	var no *joins.Refusal
	switch {
	case errors.As(err, &no):
		if no.After > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(no.After.Seconds()))))
		}
		http.Error(w, no.Reason, no.Code)
		return
	case err != nil:
		c.options.logger.Error(err, "Joining", "node", req.Node)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// A failed write is the agent's going away; it joins again.
	_ = json.NewEncoder(w).Encode(response)
}

func (c *Cluster) join(r *http.Request, req joins.WireRequest) (*joins.WireResponse, error) {
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
	cidr, err := c.admit(r.Context(), asked)
	if err != nil {
		return nil, err
	}
	now := c.options.clock.Now()
	clientCert, err := c.pki.Sign([]byte(req.ClientCSR), pki.Request{User: joins.NodeUser + req.Node, Groups: []string{user.NodesGroup, agentGroup}}, now)
	if err != nil {
		return nil, err
	}
	server, err := c.nodeCA.Sign([]byte(req.ServerCSR), pki.Request{User: joins.NodeUser + req.Node, Groups: []string{user.NodesGroup}, Hosts: []string{req.Node, req.Address}}, now)
	if err != nil {
		return nil, err
	}
	return &joins.WireResponse{CA: string(c.pki.PEM), ClientCert: string(clientCert), ServerCert: string(server),
		ServiceCIDR: c.config.Network.ServiceCIDR, PodCIDR: c.config.Network.PodCIDR, NodePodCIDR: cidr,
		ClusterDomain: c.config.Network.ClusterDomain, ClusterDNS: c.config.Network.ClusterDNS}, nil
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
	if !isNode || !slices.Contains(u.GetGroups(), agentGroup) || r.TLS == nil || len(r.TLS.PeerCertificates) == 0 ||
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

// agentAccess lets join tokens and agents join, and agents see what a node's proxy
// needs.
type agentAccess struct{ client client.Client }

// Start implements manager.Runnable: it writes the roles and their bindings and
// returns.
func (a agentAccess) Start(ctx context.Context) error {
	for _, o := range agentRoles() {
		err := a.client.Create(ctx, o)
		if apierrors.IsAlreadyExists(err) { // perhaps those of an earlier version
			err = a.client.Update(ctx, o)
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("letting agents join: %w", err)
		}
	}
	return nil
}

func agentRoles() []client.Object {
	bind := func(name, role string, groups ...string) *rbacv1.ClusterRoleBinding {
		b := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		}
		for _, group := range groups {
			b.Subjects = append(b.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: group})
		}
		return b
	}
	return []client.Object{
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: joinRole}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"post"}, NonResourceURLs: []string{joins.Path}}}},
		bind(joinRole, joinRole, jointoken.Group, agentGroup),
		bind("coracle:node-proxiers", "system:node-proxier", agentGroup),
	}
}

// ownNodes returns the names of this process's real nodes, up or not.
func (c *Cluster) ownNodes() []string {
	var names []string
	for i := range int(*c.config.Nodes) {
		if own, err := ownNodeName(c.config.Node.Name, i); err == nil {
			names = append(names, own)
		}
	}
	return names
}

// hasNode reports whether a real node of that name is this process's own, up or not.
func (c *Cluster) hasNode(name string) bool { return slices.Contains(c.ownNodes(), name) }

// ownNodeName returns the name of the i-th of a process's real nodes, given
// that of the first, if any.
func ownNodeName(given string, i int) (string, error) {
	name, err := host.NodeName(given)
	if err != nil || i == 0 {
		return name, err
	}
	return fmt.Sprintf("%s-%d", name, i), nil
}
