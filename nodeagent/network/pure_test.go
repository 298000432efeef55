package network

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestConfigIsChecked(t *testing.T) {
	g := NewWithT(t)
	_, err := Config{Prefix: "XYZ", NodeIndex: 1, ClusterCIDRs: []string{"nope"}}.parse()
	g.Expect(err).To(MatchError(And(ContainSubstring("Prefix"), ContainSubstring("ConfDir is required"),
		ContainSubstring("LinkCIDR is required"), ContainSubstring("ClusterCIDRs"))))
}

func TestNames(t *testing.T) {
	g := NewWithT(t)
	n := names{"0a1b2c"}
	for _, link := range []string{n.linkBridge(), n.podBridge(maxNodes), n.veth(maxNodes)} {
		g.Expect(len(link)).To(BeNumerically("<=", 15), link)
	}
	g.Expect(n.ofTable("coracle-0a1b2c")).To(BeTrue())
	g.Expect(n.ofTable("coracle-0a1b2c-link")).To(BeTrue())
	g.Expect(n.ofTable("coracle-0a1b2c9")).To(BeFalse())
	g.Expect(n.ofTable("kube-proxy")).To(BeFalse())
}

func TestNodeAddress(t *testing.T) {
	g := NewWithT(t)
	link := netip.MustParsePrefix("172.30.5.0/30")
	for node, want := range []string{"172.30.5.1/30", "172.30.5.2/30"} {
		got, err := nodeAddress(link, node)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(got.String()).To(Equal(want))
	}
	_, err := nodeAddress(link, 3)
	g.Expect(err).To(HaveOccurred())
}

func TestConflist(t *testing.T) {
	g := NewWithT(t)
	p, err := Config{Prefix: "0a1b2c", NodeIndex: 2, ConfDir: t.TempDir(), LinkCIDR: "172.30.5.0/24", MTU: 1400, DataDir: "/d"}.parse()
	g.Expect(err).NotTo(HaveOccurred())
	text, err := p.render(netip.MustParsePrefix("10.1.2.0/24"), true, true)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(text).To(MatchJSON(`{"cniVersion":"1.0.0","name":"coracle-0a1b2c","plugins":[
		{"type":"bridge","bridge":"cr0a1b2c-p2","isGateway":true,"forceAddress":true,"portIsolation":true,"mtu":1400,
		 "ipam":{"type":"host-local","ranges":[[{"subnet":"10.1.2.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}],"dataDir":"/d"}},
		{"type":"portmap","snat":true,"backend":"nftables","capabilities":{"portMappings":true}}]}`))
	g.Expect(writeConflist(p.ConfDir, text)).To(Succeed())
	before, err := os.Stat(filepath.Join(p.ConfDir, conflistName))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(writeConflist(p.ConfDir, text)).To(Succeed())
	after, err := os.Stat(filepath.Join(p.ConfDir, conflistName))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.SameFile(before, after)).To(BeTrue())
}
