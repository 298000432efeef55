package joins

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Request holds what an agent asks for, and its credential. Either Token or Certificate is set.
type Request struct {
	// Token is the ID of the bootstrap token that was shown.
	Token string
	// Certificate is the node whose client certificate was shown, and Shown the hash
	// of the public key in it.
	Certificate, Shown string
	// Peer is the address that the connection comes from.
	Peer netip.Addr
	// Node and Address are the name and address asked for, and Key is the hash of the
	// public key that the client certificate is to be for.
	Node, Address, Key string
}

// Known holds the state of the cluster. Addresses are unmapped and have no zone.
type Known struct {
	Now    time.Time
	Ledger Ledger
	// Nodes are the addresses of every Node object, by name, and Registered are
	// those that have a range of pod addresses.
	Nodes      map[string][]netip.Addr
	Registered map[string]bool
	// Own are the nodes of the server's own process, up or not; SimulatedPrefix is
	// what names of simulated nodes begin with.
	Own             []string
	SimulatedPrefix string
	// ClusterDomain is the DNS suffix of Services.
	ClusterDomain string
	// Ranges are those of Services and pods, with words for them.
	Ranges []Range
	// Names are the names in the server's certificate, and Host is the name of its
	// machine.
	Names []string
	Host  string
	// Machine are the addresses of the server's machine, and Addresses further ones
	// at which clients reach the server.
	Machine, Addresses []netip.Addr
	// Peers are the other servers.
	Peers []Server
	// Proxies are the addresses of what may pass joins on for agents elsewhere.
	Proxies []netip.Prefix
}

// Range is a range of addresses that no agent has.
type Range struct {
	Of     string
	Prefix netip.Prefix
}

// Server is a server on another machine.
type Server struct {
	Host    string
	Address netip.Addr
}

// Refusal is the error of an agent that gets no certificates.
type Refusal struct {
	// Code is the HTTP status: bad request, forbidden, conflict or too many requests.
	Code   int
	Reason string
	// After is when to ask again, if that helps.
	After time.Duration
}

// Error implements error.
func (r *Refusal) Error() string { return r.Reason }

func refuse(code int, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Reason: fmt.Sprintf(format, args...)}
}

// Plan returns the ledger after the request is granted, or why it is not.
func Plan(r Request, k Known) (Ledger, *Refusal) {
	address, err := netip.ParseAddr(r.Address)
	if err != nil {
		return Ledger{}, refuse(http.StatusBadRequest, "address %q is not an IP address", r.Address)
	}
	for _, check := range []func() *Refusal{
		func() *Refusal { return k.name(r) },
		func() *Refusal { return k.address(address) },
		func() *Refusal { return k.peer(r, address) },
		func() *Refusal { return k.identity(r) },
	} {
		if no := check(); no != nil {
			return Ledger{}, no
		}
	}
	ledger := k.Ledger.current(k.Now, func(node string) bool { return k.Registered[node] })
	buckets := []string{tokenBucket(r.Token), everyToken}
	if r.Certificate != "" {
		buckets = []string{nodeBucket(r.Certificate)}
	}
	if wait := ledger.take(k.Now, buckets...); wait > 0 {
		no := refuse(http.StatusTooManyRequests, "too many joins: try again in %s", wait.Round(time.Second))
		no.After = wait
		return Ledger{}, no
	}
	if !k.exists(r.Node) {
		ledger.Reserved[r.Node] = Reservation{Keys: r.keys(), PodCIDR: ledger.Reserved[r.Node].PodCIDR, Until: k.Now.Add(Bound)}
	}
	return ledger, nil
}

// keys returns the hashes of the requester's keys.
func (r Request) keys() []string {
	if r.Shown == "" {
		return []string{r.Key}
	}
	return []string{r.Key, r.Shown}
}

func (k Known) exists(node string) bool {
	_, ok := k.Nodes[node]
	return ok
}

// name refuses what is no name of an agent's node.
func (k Known) name(r Request) *Refusal {
	no := func(why string) *Refusal {
		return refuse(http.StatusBadRequest, "node %q %s; choose another --node-name", r.Node, why)
	}
	under := func(domain string) bool { return r.Node == domain || strings.HasSuffix(r.Node, "."+domain) }
	if msgs := validation.IsDNS1123Subdomain(r.Node); len(msgs) > 0 {
		return refuse(http.StatusBadRequest, "node %q: %s", r.Node, msgs[0])
	}
	// Without the address, which is checked for itself.
	if _, err := netip.ParseAddr(r.Node); err == nil {
		return no("has an IP address for a name")
	}
	switch {
	case strings.HasPrefix(r.Node, k.SimulatedPrefix):
		return no("has the name of a simulated node")
	case slices.Contains(k.Own, r.Node):
		return no("runs in the server's own process")
	case under("localhost"):
		return no("has a name of every machine")
	case r.Node == "kubernetes" || strings.HasPrefix(r.Node, "kubernetes."):
		return no("has the name of the API server's Service")
	case under("svc") || under(k.ClusterDomain):
		return no("has a name of Services")
	}
	return k.serverName(r, no)
}

// serverName refuses names of servers. An agent on a server's machine may have
// that machine's name.
func (k Known) serverName(r Request, no func(string) *Refusal) *Refusal {
	if r.Node == k.Host && !k.proxied(r.Peer) && k.here(r.Peer) {
		return nil
	}
	if r.Node == k.Host || slices.Contains(k.Names, r.Node) {
		return no("has a name of the server")
	}
	for _, s := range k.Peers {
		if r.Node == s.Host && (k.proxied(r.Peer) || r.Peer != s.Address) {
			return no("has the name of another server's machine")
		}
	}
	return nil
}

// broadcast is the IPv4 address of every machine in the same network.
var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// address refuses what is no address of a machine.
func (k Known) address(a netip.Addr) *Refusal {
	no := func(why string) *Refusal {
		return refuse(http.StatusBadRequest, "address %s %s; name the machine's own with --node-address", a, why)
	}
	switch {
	case a.Zone() != "" || a.Is4In6():
		return no("is not in its plain form")
	case a.IsUnspecified():
		return no("is of no machine")
	case a.IsLoopback():
		return no("is of every machine")
	case a.IsMulticast() || a == broadcast:
		return no("is of several machines")
	case a.IsLinkLocalUnicast():
		return no("is good in one network only")
	}
	for _, r := range k.Ranges {
		if r.Prefix.Contains(a) {
			return no("is in the range " + r.Prefix.String() + " of " + r.Of)
		}
	}
	return nil
}

// peer refuses an address that the connection does not come from.
func (k Known) peer(r Request, a netip.Addr) *Refusal {
	if !k.proxied(r.Peer) {
		if r.Peer == a || k.here(r.Peer) && k.here(a) {
			return nil
		}
		return refuse(http.StatusBadRequest, "address %s is not the one that the agent's connection comes from, which is %s; name that with --node-address, or, if it is a proxy's, in agents.proxies of the server's configuration", a, r.Peer)
	}
	if k.here(a) || slices.Contains(k.Addresses, a) || slices.ContainsFunc(k.Peers, func(s Server) bool { return s.Address == a }) {
		return refuse(http.StatusBadRequest, "address %s is a server's, and the connection comes through the proxy %s; join at the server's own address", a, r.Peer)
	}
	for node, addresses := range k.Nodes {
		if node != r.Node && slices.Contains(addresses, a) {
			return refuse(http.StatusBadRequest, "address %s is that of node %s, and the connection comes through the proxy %s; join at the server's own address", a, node, r.Peer)
		}
	}
	return nil
}

func (k Known) proxied(a netip.Addr) bool {
	return slices.ContainsFunc(k.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// here reports whether an address is this machine's.
func (k Known) here(a netip.Addr) bool { return a.IsLoopback() || slices.Contains(k.Machine, a) }

// identity refuses a name that is another's.
func (k Known) identity(r Request) *Refusal {
	held, reserved := k.Ledger.Reserved[r.Node]
	left := held.Until.Sub(k.Now)
	others := reserved && left > 0 && !slices.ContainsFunc(r.keys(), func(key string) bool { return slices.Contains(held.Keys, key) })
	switch {
	case r.Certificate == "" && r.Token == "":
		return refuse(http.StatusForbidden, "only the holder of a join token, or of a node's certificate, may join")
	case r.Certificate != "" && r.Certificate != r.Node:
		return refuse(http.StatusForbidden, "the certificate is that of node %s, not of %s", r.Certificate, r.Node)
	case k.exists(r.Node) && r.Certificate == "":
		return refuse(http.StatusConflict, "node %q exists: its agent joins again with the certificate in its data directory; if that is lost, delete the Node first (kubectl delete node %s), or choose another --node-name", r.Node, r.Node)
	case !k.exists(r.Node) && others:
		no := refuse(http.StatusConflict, "node %q is another agent's that has joined and is about to register; choose another --node-name, or try again in %s", r.Node, left.Round(time.Second))
		no.After = left
		return no
	}
	return nil
}
