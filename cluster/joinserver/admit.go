package joinserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/coracle-k8s/coracle/apiserver/peers"
	"github.com/coracle-k8s/coracle/cluster/joins"
	"github.com/coracle-k8s/coracle/nodeagent/simulated"
)

// ledgerAttempts bounds how often a join is decided again because another server
// wrote the ledger meanwhile.
const ledgerAttempts = 20

// admit decides about a join, writes what it decided into the ledger, and
// returns the node's range of pod addresses. An error that is a *joins.Refusal is
// the requester's.
func (s *Server) admit(ctx context.Context, asked joins.Request) (string, error) {
	s.deciding.Lock()
	defer s.deciding.Unlock()
	for range ledgerAttempts {
		// The ledger comes first: a server that registers a node after it was read
		// has written it since, so that this attempt fails.
		ledger, stored, err := s.readLedger(ctx)
		if err != nil {
			return "", err
		}
		known, nodes, err := s.known(ctx, ledger)
		if err != nil {
			return "", err
		}
		next, no := joins.Plan(asked, known)
		if no != nil {
			return "", no
		}
		ranges, err := s.config.PodRanges.Reserve(asked.Node, nodes, next.Ranges())
		if err != nil { // another node may go
			return "", &joins.Refusal{Code: http.StatusServiceUnavailable, Reason: err.Error(), After: time.Minute}
		}
		cidr := ranges[0].String()
		if reserved, is := next.Reserved[asked.Node]; is {
			reserved.PodCIDR = cidr
			next.Reserved[asked.Node] = reserved
		}
		switch err := s.writeLedger(ctx, stored, next); {
		case err == nil:
			return cidr, nil
		case !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err):
			return "", fmt.Errorf("writing the ledger of joins: %w", err)
		}
	}
	return "", errors.New("writing the ledger of joins: other servers write it all the time")
}

// readLedger returns the ledger and the ConfigMap that has it, without a name if
// there is none.
func (s *Server) readLedger(ctx context.Context) (joins.Ledger, *corev1.ConfigMap, error) {
	kube, err := kubernetes.NewForConfig(s.config.Server)
	if err != nil {
		return joins.Ledger{}, nil, fmt.Errorf("making a client: %w", err)
	}
	stored, err := kube.CoreV1().ConfigMaps(metav1.NamespaceSystem).Get(ctx, joins.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return joins.Ledger{}, &corev1.ConfigMap{}, nil
	}
	if err != nil {
		return joins.Ledger{}, nil, fmt.Errorf("reading the ledger of joins: %w", err)
	}
	ledger, err := joins.Decode(stored.Data[joins.Key])
	return ledger, stored, err
}

// writeLedger replaces the ledger that was read.
func (s *Server) writeLedger(ctx context.Context, stored *corev1.ConfigMap, ledger joins.Ledger) error {
	kube, err := kubernetes.NewForConfig(s.config.Server)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	text, err := ledger.Encode()
	if err != nil {
		return err
	}
	maps := kube.CoreV1().ConfigMaps(metav1.NamespaceSystem)
	stored.Data = map[string]string{joins.Key: text}
	if stored.Name == "" {
		stored.Name = joins.Name
		_, err = maps.Create(ctx, stored, metav1.CreateOptions{})
		return err
	}
	_, err = maps.Update(ctx, stored, metav1.UpdateOptions{})
	return err
}

// known holds the objects that the decision about a join needs.
func (s *Server) known(ctx context.Context, ledger joins.Ledger) (joins.Known, []corev1.Node, error) {
	k := joins.Known{
		Now: s.config.Clock.Now(), Ledger: ledger, Nodes: map[string][]netip.Addr{}, Registered: map[string]bool{},
		Own: s.config.OwnNodes(), SimulatedPrefix: simulated.DefaultNamePrefix, ClusterDomain: s.config.Cluster.Network.ClusterDomain,
	}
	kube, err := kubernetes.NewForConfig(s.config.Server)
	if err != nil {
		return k, nil, fmt.Errorf("making a client: %w", err)
	}
	nodes, err := kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return k, nil, fmt.Errorf("listing nodes: %w", err)
	}
	for i := range nodes.Items {
		node := &nodes.Items[i]
		k.Nodes[node.Name], k.Registered[node.Name] = nodeAddresses(node), len(node.Spec.PodCIDRs) > 0
	}
	k.Proxies = s.config.Cluster.Agents.ProxyRanges()
	if err := s.knownServer(&k); err != nil {
		return k, nil, err
	}
	if k.Peers, err = otherServers(ctx, kube); err != nil {
		return k, nil, err
	}
	k.Ranges, err = s.knownRanges(ctx, kube)
	return k, nodes.Items, err
}

// ReserveJoined reserves the ranges that agents were given which have not
// registered yet. Those given by this process are reserved already, but for those
// from before it started.
func (s *Server) ReserveJoined(ctx context.Context) error {
	s.deciding.Lock()
	defer s.deciding.Unlock()
	if s.joinedBefore && !*s.config.Cluster.LeaderElection.LeaderElect {
		return nil
	}
	ledger, _, err := s.readLedger(ctx)
	if err != nil {
		return err
	}
	s.config.PodRanges.Expect(ledger.Ranges())
	s.joinedBefore = true
	return nil
}

func nodeAddresses(node *corev1.Node) []netip.Addr {
	all := []netip.Addr{}
	for _, a := range node.Status.Addresses {
		if ip, err := netip.ParseAddr(a.Address); err == nil {
			all = append(all, ip.Unmap())
		}
	}
	return all
}

// knownServer fills in names and addresses of this server.
func (s *Server) knownServer(k *joins.Known) error {
	for _, name := range s.config.Names {
		if ip, err := netip.ParseAddr(name); err == nil {
			k.Addresses = append(k.Addresses, ip.Unmap())
		} else {
			k.Names = append(k.Names, strings.ToLower(name))
		}
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("naming this machine: %w", err)
	}
	k.Host = strings.ToLower(host)
	k.Machine, err = s.config.Machine()
	return err
}

// otherServers returns the servers that have a Lease, this one included where
// there are several.
func otherServers(ctx context.Context, kube kubernetes.Interface) ([]joins.Server, error) {
	leases, err := kube.CoordinationV1().Leases(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{LabelSelector: peers.Selector, ResourceVersion: "0"})
	if err != nil {
		return nil, fmt.Errorf("listing servers: %w", err)
	}
	var servers []joins.Server
	for i := range leases.Items {
		servers = append(servers, joinServer(&leases.Items[i]))
	}
	return servers, nil
}

func joinServer(lease *coordinationv1.Lease) joins.Server {
	return joins.Server{Host: strings.ToLower(lease.Labels[corev1.LabelHostname]), Address: peers.Address(lease).Addr()}
}

// knownRanges returns the ranges of Services, the configured and further ones,
// and pods.
func (s *Server) knownRanges(ctx context.Context, kube kubernetes.Interface) ([]joins.Range, error) {
	ranges := []joins.Range{{Of: "pods", Prefix: netip.MustParsePrefix(s.config.Cluster.Network.PodCIDR)}, {Of: "Services", Prefix: netip.MustParsePrefix(s.config.Cluster.Network.ServiceCIDR)}}
	more, err := kube.NetworkingV1().ServiceCIDRs().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, fmt.Errorf("listing ranges of Services: %w", err)
	}
	for _, s := range more.Items {
		for _, cidr := range s.Spec.CIDRs {
			if p, err := netip.ParsePrefix(cidr); err == nil {
				ranges = append(ranges, joins.Range{Of: "Services", Prefix: p})
			}
		}
	}
	return ranges, nil
}
