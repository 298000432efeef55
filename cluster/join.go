package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apiserver/pki"
)

const (
	// joinPath is where an agent with a join token gets its certificates.
	joinPath = "/coracle/v1/join"
	// joinUser and joinGroup are what the join token authenticates as; they may do nothing else.
	joinUser, joinGroup = "coracle:join", "coracle:join"
	// agentGroup are the agents; they may do what a node's proxy may.
	agentGroup = "coracle:agents"
	// agentAPIGroup may use the agents' own API.
	agentAPIGroup = "coracle:agent-clients"
)

// joinRequest is what an agent sends: two certificate requests.
type joinRequest struct {
	// Node is the node's name and Address its IP address.
	Node    string `json:"node"`
	Address string `json:"address"`
	// ClientCSR and ServerCSR are PEM certificate requests; only their keys are used.
	ClientCSR string `json:"clientCSR"`
	ServerCSR string `json:"serverCSR"`
}

// joinResponse has PEM certificates and what the agent has to know of the network.
type joinResponse struct {
	CA         string `json:"ca"`
	ClientCert string `json:"clientCert"`
	ServerCert string `json:"serverCert"`
	// Network of the cluster, and the range of the node's pods.
	ServiceCIDR   string   `json:"serviceCIDR"`
	PodCIDR       string   `json:"podCIDR"`
	NodePodCIDR   string   `json:"nodePodCIDR"`
	ClusterDomain string   `json:"clusterDomain"`
	ClusterDNS    []string `json:"clusterDNS"`
}

// serveJoin signs an agent's certificates. The requester proved that it has
// the join token; the name it asks for must not be that of a node of this process.
func (c *Cluster) serveJoin(w http.ResponseWriter, r *http.Request) {
	u, ok := request.UserFrom(r.Context())
	if !ok || !mayJoin(u) {
		http.Error(w, "only the holder of the join token may join", http.StatusForbidden)
		return
	}
	if r.Method != http.MethodPost {
		http.Error(w, "POST a join request", http.StatusMethodNotAllowed)
		return
	}
	var req joinRequest
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&req); err != nil {
		http.Error(w, "reading the join request: "+err.Error(), http.StatusBadRequest)
		return
	}
	response, err := c.join(r, req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// A failed write is the agent's going away; it joins again.
	_ = json.NewEncoder(w).Encode(response)
}

func mayJoin(u user.Info) bool {
	for _, g := range u.GetGroups() {
		if g == joinGroup || g == user.SystemPrivilegedGroup {
			return true
		}
	}
	return false
}

func (c *Cluster) join(r *http.Request, req joinRequest) (*joinResponse, error) {
	if msgs := validation.IsDNS1123Subdomain(req.Node); len(msgs) > 0 {
		return nil, fmt.Errorf("node %q: %s", req.Node, msgs[0])
	}
	if net.ParseIP(req.Address) == nil {
		return nil, fmt.Errorf("address %q is not an IP address", req.Address)
	}
	if strings.HasPrefix(req.Node, simulatedPrefix) {
		return nil, fmt.Errorf("node %q has the name of a simulated node; choose another --node-name", req.Node)
	}
	if c.hasNode(req.Node) {
		return nil, fmt.Errorf("node %q runs in the server's own process; choose another --node-name", req.Node)
	}
	now := c.options.clock.Now()
	clientCert, err := c.pki.Sign([]byte(req.ClientCSR), pki.Request{User: "system:node:" + req.Node, Groups: []string{user.NodesGroup, agentGroup}}, now)
	if err != nil {
		return nil, err
	}
	server, err := c.pki.Sign([]byte(req.ServerCSR), pki.Request{User: "system:node:" + req.Node, Groups: []string{user.NodesGroup}, Hosts: []string{req.Node, req.Address}}, now)
	if err != nil {
		return nil, err
	}
	cidr, err := c.reservePodRange(r.Context(), req.Node)
	if err != nil {
		return nil, err
	}
	return &joinResponse{CA: string(c.pki.PEM), ClientCert: string(clientCert), ServerCert: string(server),
		ServiceCIDR: c.config.Network.ServiceCIDR, PodCIDR: c.config.Network.PodCIDR, NodePodCIDR: cidr,
		ClusterDomain: c.config.Network.ClusterDomain, ClusterDNS: c.config.Network.ClusterDNS}, nil
}

// agentAccess lets the join token join, and agents see what a node's proxy needs.
type agentAccess struct{ client client.Client }

// Start implements manager.Runnable: it makes what is missing and returns.
func (a agentAccess) Start(ctx context.Context) error {
	for _, o := range agentRoles() {
		if err := a.client.Create(ctx, o); err != nil && !apierrors.IsAlreadyExists(err) && ctx.Err() == nil {
			return fmt.Errorf("letting agents join: %w", err)
		}
	}
	return nil
}

func agentRoles() []client.Object {
	bind := func(name, role, group string) *rbacv1.ClusterRoleBinding {
		return &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: group}},
		}
	}
	return []client.Object{
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: joinGroup}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"post"}, NonResourceURLs: []string{joinPath}}}},
		bind(joinGroup, joinGroup, joinGroup),
		bind("coracle:node-proxiers", "system:node-proxier", agentGroup),
	}
}

// hasNode says whether a real node of that name is this process's own, up or not.
func (c *Cluster) hasNode(name string) bool {
	for i := range int(*c.config.Nodes) {
		if own, err := ownNodeName(c.config.Node.Name, i); err == nil && own == name {
			return true
		}
	}
	return false
}

// ownNodeName is the name of the i-th of a process's real nodes, given that of
// the first, if any.
func ownNodeName(given string, i int) (string, error) {
	name, err := nodeName(given)
	if err != nil || i == 0 {
		return name, err
	}
	return fmt.Sprintf("%s-%d", name, i), nil
}
