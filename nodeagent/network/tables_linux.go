package network

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"sigs.k8s.io/knftables"
)

// writePodTable masquerades what pods send out of the cluster.
func (n *Network) writePodTable(ctx context.Context, pods netip.Prefix) error {
	inside := append([]netip.Prefix{pods}, n.cfg.clusters...)
	if n.cfg.link.IsValid() {
		inside = append(inside, n.cfg.link.Masked())
	}
	rule := fmt.Sprintf("ip saddr %s ip daddr != %s masquerade", pods, set(withoutCovered(inside)))
	return writeMasquerade(ctx, n.node.Netns, n.cfg.podTable(n.cfg.NodeIndex), rule)
}

// writeLinkTable masquerades what the machine's other nodes send out of it.
func (n *Network) writeLinkTable(ctx context.Context) error {
	inside := append([]netip.Prefix{n.cfg.link.Masked()}, n.cfg.clusters...)
	rule := fmt.Sprintf("ip saddr %s ip daddr != %s masquerade", n.cfg.link.Masked(), set(withoutCovered(inside)))
	return writeMasquerade(ctx, "", n.cfg.linkTable(), rule)
}

func writeMasquerade(ctx context.Context, path, table, rule string) error {
	nft, err := NFT(path, knftables.IPv4Family, table)
	if err != nil {
		return err
	}
	tx := nft.NewTransaction()
	tx.Add(&knftables.Table{})
	tx.Add(&knftables.Chain{Name: "postrouting", Type: knftables.PtrTo(knftables.NATType),
		Hook: knftables.PtrTo(knftables.PostroutingHook), Priority: knftables.PtrTo(knftables.SNATPriority)})
	tx.Flush(&knftables.Chain{Name: "postrouting"})
	// Multicast is left as it is.
	tx.Add(&knftables.Rule{Chain: "postrouting", Rule: "ip daddr 224.0.0.0/4 return"})
	tx.Add(&knftables.Rule{Chain: "postrouting", Rule: rule})
	if err := nft.Run(ctx, tx); err != nil {
		return fmt.Errorf("writing nftables table %s: %w", table, err)
	}
	return nil
}

// withoutCovered drops ranges that lie in another: nft refuses overlaps.
func withoutCovered(list []netip.Prefix) []netip.Prefix {
	var out []netip.Prefix
	for i, p := range list {
		covered := false
		for j, q := range list {
			wider := q.Bits() < p.Bits() || q.Bits() == p.Bits() && j < i
			covered = covered || i != j && wider && q.Contains(p.Addr())
		}
		if !covered {
			out = append(out, p)
		}
	}
	return out
}

func set(list []netip.Prefix) string {
	parts := make([]string, len(list))
	for i, p := range list {
		parts[i] = p.String()
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}
