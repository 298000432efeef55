package network

import (
	"fmt"
	"net/netip"
	"regexp"
)

// names derives every name from the cluster's prefix. Links have at most 15
// characters.
type names struct{ prefix string }

var validPrefix = regexp.MustCompile(`^[0-9a-f]{6}$`)

func (n names) link(suffix string) string { return "cr" + n.prefix + "-" + suffix }
func (n names) linkBridge() string        { return n.link("link") }
func (n names) podBridge(node int) string { return n.link(fmt.Sprint("p", node)) }
func (n names) veth(node int) string      { return n.link(fmt.Sprint("v", node)) }
func (n names) netns(node int) string     { return fmt.Sprintf("coracle-%s-n%d", n.prefix, node) }
func (n names) linkTable() string         { return "coracle-" + n.prefix + "-link" }
func (n names) podTable(node int) string  { return fmt.Sprintf("coracle-%s-pods%d", n.prefix, node) }
func (n names) ofTable(table string) bool {
	own := "coracle-" + n.prefix
	return table == own || len(table) > len(own) && table[:len(own)+1] == own+"-"
}

// maxNodes is how many nodes a machine may hold: their link names must fit.
const maxNodes = 9999

// nodeAddress returns the node's address on the link network; the machine has
// the first (it is node 0 there).
func nodeAddress(link netip.Prefix, node int) (netip.Prefix, error) {
	addr := link.Masked().Addr()
	for range node + 1 {
		addr = addr.Next()
	}
	if !link.Contains(addr) {
		return netip.Prefix{}, fmt.Errorf("node %d does not fit into the link network %s", node, link)
	}
	return netip.PrefixFrom(addr, link.Bits()), nil
}
