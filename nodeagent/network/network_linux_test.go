package network

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/vishvananda/netns"
	"sigs.k8s.io/knftables"
)

// machine is a network namespace that stands for the machine: the test process
// of TestMain is started again in it, so that nothing reaches the real one.
func TestMain(m *testing.M) {
	if os.Geteuid() != 0 || os.Getenv("CORACLE_NETWORK_TEST_INSIDE") != "" {
		os.Exit(m.Run())
	}
	// A mount namespace with a /run of its own too: names of namespaces are files.
	cmd := exec.Command("unshare", append([]string{"--net", "--mount", "--propagation", "private", "sh", "-c",
		`mount -t tmpfs tmpfs /run && exec "$0" "$@"`, os.Args[0]}, os.Args[1:]...)...)
	cmd.Env = append(os.Environ(), "CORACLE_NETWORK_TEST_INSIDE=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
}

func run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

func newPrefix() string {
	b := make([]byte, 3)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// pluginDir finds the CNI plugins: PATH or where `make build` puts them.
func pluginDir(t *testing.T) string {
	t.Helper()
	if p, err := exec.LookPath("host-local"); err == nil {
		return filepath.Dir(p)
	}
	dir := t.TempDir()
	for _, p := range []string{"main/bridge", "ipam/host-local"} {
		run(t, "go", "build", "-o", filepath.Join(dir, filepath.Base(p)), "github.com/containernetworking/plugins/plugins/"+p)
	}
	return dir
}

func TestHostPortsOfLostSandboxesGo(t *testing.T) {
	requireRoot(t)
	g := NewWithT(t)
	results := filepath.Join(t.TempDir(), "cni", "results")
	g.Expect(os.MkdirAll(results, 0o755)).To(Succeed())
	note := func(network, sandbox string) {
		g.Expect(os.WriteFile(filepath.Join(results, network+"-"+sandbox+"-eth0"), nil, 0o600)).To(Succeed())
	}
	note("coracle-aaaaaa", "one")
	note("coracle-bbbbbb", "two")
	run(t, "nft", `add table ip cni_hostport
		add chain ip cni_hostport hostports
		add chain ip cni_hostport hostip_hostports
		add chain ip cni_hostport masquerading
		add rule ip cni_hostport hostports tcp dport 81 counter comment "one"
		add rule ip cni_hostport masquerading tcp dport 81 counter comment "one"
		add rule ip cni_hostport hostports tcp dport 82 counter comment "two"`)
	rules := func() string { return run(t, "nft", "list", "table", "ip", "cni_hostport") }

	g.Expect(names{"aaaaaa"}.removeSandboxes(t.Context(), results)).To(Equal([]string{"2 rules of host ports", "1 files in " + results}))
	g.Expect(rules()).To(And(ContainSubstring(`comment "two"`), Not(ContainSubstring(`comment "one"`))))
	g.Expect(names{"cccccc"}.removeSandboxes(t.Context(), results)).To(BeEmpty())
	g.Expect(rules()).To(ContainSubstring(`comment "two"`))
	g.Expect(names{"bbbbbb"}.removeSandboxes(t.Context(), results)).To(Equal([]string{"1 rules of host ports", "1 files in " + results}))
	g.Expect(run(t, "nft", "list", "tables")).NotTo(ContainSubstring("cni_hostport"))
	g.Expect(filepath.Dir(results)).NotTo(BeADirectory())
	g.Expect(names{"bbbbbb"}.removeSandboxes(t.Context(), results)).To(BeEmpty())
}

// addPod gives a new namespace to the node's CNI plugins, as a runtime would,
// and returns its path and address.
func addPod(t *testing.T, bin, confDir string, node NodeNet, name string) (path, address string) {
	t.Helper()
	run(t, "ip", "netns", "add", name)
	t.Cleanup(func() { _ = netns.DeleteNamed(name) })
	path = filepath.Join(netnsDir, name)
	var list map[string]any
	text, err := os.ReadFile(filepath.Join(confDir, conflistName))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	plugin := list["plugins"].([]any)[0].(map[string]any)
	plugin["cniVersion"], plugin["name"] = list["cniVersion"], list["name"]
	stdin, _ := json.Marshal(plugin)
	var result struct{ IPs []struct{ Address string } }
	err = InNetns(node.Netns, func() error {
		cmd := exec.Command(filepath.Join(bin, "bridge"))
		cmd.Stdin = bytes.NewReader(stdin)
		cmd.Env = []string{"CNI_COMMAND=ADD", "CNI_CONTAINERID=" + name, "CNI_NETNS=" + path, "CNI_IFNAME=eth0", "CNI_PATH=" + bin, "PATH=" + os.Getenv("PATH")}
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return json.Unmarshal(out, &result)
	})
	if err != nil {
		t.Fatal(err)
	}
	return path, netip.MustParsePrefix(result.IPs[0].Address).Addr().String()
}

// serve answers with the caller's address.
func serve(t *testing.T, path string) {
	t.Helper()
	l, err := Listen(path)("tcp", ":8080")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, c.RemoteAddr().(*net.TCPAddr).IP)
			c.Close()
		}
	}()
}

func ask(path, address string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	c, err := Dial(path)(ctx, "tcp", address+":8080")
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	buf := make([]byte, 50)
	n, _ := c.Read(buf)
	return string(buf[:n])
}

func TestTwoNodesAndTheWorld(t *testing.T) {
	requireRoot(t)
	g := NewWithT(t)
	ctx, prefix, bin := t.Context(), newPrefix(), pluginDir(t)
	run(t, "ip", "link", "set", "lo", "up")
	// The world: a namespace behind the machine's default route.
	run(t, "ip", "netns", "add", "world")
	t.Cleanup(func() {
		_ = netns.DeleteNamed("world")
		_ = exec.Command("ip", "link", "del", "up0").Run()
	})
	run(t, "ip", "link", "add", "up0", "type", "veth", "peer", "name", "eth0", "netns", "world")
	run(t, "ip", "addr", "add", "192.0.2.2/24", "dev", "up0")
	run(t, "ip", "link", "set", "up0", "up")
	run(t, "ip", "route", "add", "default", "via", "192.0.2.1")
	run(t, "ip", "-n", "world", "addr", "add", "192.0.2.1/24", "dev", "eth0")
	run(t, "ip", "-n", "world", "link", "set", "eth0", "up")
	g.Eventually(func() string { return run(t, "ip", "-br", "link", "show", "up0") }, 10*time.Second).Should(MatchRegexp(`\bUP\b`), "the kernel says later that the link is up")
	before := run(t, "ip", "-br", "addr") + run(t, "ip", "route")

	var nodes []NodeNet
	var dirs []string
	for i := range 3 {
		dir := t.TempDir()
		n, err := New(Config{Prefix: prefix, NodeIndex: i, ClusterCIDRs: []string{"10.77.0.0/16"}, LinkCIDR: "172.30.5.0/24", ConfDir: dir, BinDir: bin})
		g.Expect(err).NotTo(HaveOccurred())
		var node NodeNet
		for range 2 { // idempotent
			node, err = n.Setup(ctx)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(n.Configure(ctx, []string{fmt.Sprintf("10.77.%d.0/24", i)})).To(Succeed())
		}
		nodes, dirs = append(nodes, node), append(dirs, dir)
	}
	g.Expect(nodes[0].NodeIP).To(Equal("192.0.2.2"))
	g.Expect(nodes[0].NodePortIPs).To(Equal([]string{"192.0.2.2", "172.30.5.1"}))
	g.Expect(nodes[1].NodeIP).To(Equal("172.30.5.2"))
	g.Expect(nodes[2].NodeIP).To(Equal("172.30.5.3"))

	type end struct{ path, ip string }
	pods := map[string]end{}
	for _, name := range []string{"p0a", "p0b", "p1a", "p1b", "p2a"} {
		node := int(name[1] - '0')
		path, ip := addPod(t, bin, dirs[node], nodes[node], name)
		serve(t, path)
		pods[name] = end{path, ip}
	}
	for from, a := range pods {
		for to, b := range pods {
			if from != to && ask(a.path, b.ip) != a.ip {
				t.Errorf("from %s to %s: %s, want %s", from, to, ask(a.path, b.ip), a.ip)
			}
		}
		g.Expect(ask("", a.ip)).To(HavePrefix("1"), "from the machine to "+from)
		g.Expect(ask(nodes[1].Netns, a.ip)).To(HavePrefix("1"), "from node 1 to "+from)
	}
	serve(t, filepath.Join(netnsDir, "world"))
	serve(t, "")
	for name, p := range pods {
		g.Expect(ask(p.path, "192.0.2.1")).To(Equal("192.0.2.2"), "from %s to the world, masqueraded", name)
		g.Expect(ask(p.path, "192.0.2.2")).To(HavePrefix("1"), "from %s to the machine", name)
	}
	// Node 0 finds br_netfilter on and bridges, node 1 switches it off and routes.
	for _, node := range []int{0, 1} {
		t.Run(fmt.Sprint("services between pods of node ", node), func(t *testing.T) {
			serviceOnBridge(t, nodes[node], pods[fmt.Sprintf("p%da", node)].path, pods[fmt.Sprintf("p%db", node)].ip)
		})
		t.Run(fmt.Sprint("a pod of node ", node, " and its own service"), func(t *testing.T) {
			serviceOnBridge(t, nodes[node], pods[fmt.Sprintf("p%da", node)].path, pods[fmt.Sprintf("p%da", node)].ip)
		})
	}

	for _, p := range []string{"p0a", "p0b", "p1a", "p1b", "p2a"} {
		g.Expect(netns.DeleteNamed(p)).To(Succeed())
	}
	removed, err := Cleanup(ctx, prefix)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(removed).To(ContainElements("network namespace coracle-"+prefix+"-n1", "network link cr"+prefix+"-link",
		"network link cr"+prefix+"-p0", "nftables table ip coracle-"+prefix+"-link", "directory /run/coracle/"+prefix))
	g.Eventually(func() string { return run(t, "ip", "-br", "addr") + run(t, "ip", "route") }, 5*time.Second).Should(Equal(before))
	g.Expect(run(t, "nft", "list", "tables")).NotTo(ContainSubstring(prefix))
	again, err := Cleanup(ctx, prefix)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(again).To(BeEmpty())
}

// serviceOnBridge checks that the answer of a pod on the same bridge passes the
// node, which alone can translate it back.
func serviceOnBridge(t *testing.T, node NodeNet, from, to string) {
	g := NewWithT(t)
	nft, err := NFT(node.Netns, knftables.IPv4Family, "service")
	g.Expect(err).NotTo(HaveOccurred())
	tx := nft.NewTransaction()
	tx.Add(&knftables.Table{})
	for hook, priority := range map[knftables.BaseChainHook]knftables.BaseChainPriority{
		knftables.PreroutingHook: knftables.DNATPriority, knftables.PostroutingHook: knftables.SNATPriority} {
		tx.Add(&knftables.Chain{Name: string(hook), Type: knftables.PtrTo(knftables.NATType), Hook: &hook, Priority: &priority})
	}
	tx.Add(&knftables.Rule{Chain: "prerouting", Rule: "ip daddr 10.96.0.1 tcp dport 8080 dnat to " + to})
	tx.Add(&knftables.Rule{Chain: "postrouting", Rule: "ip saddr " + to + " ip daddr " + to + " masquerade"})
	g.Expect(nft.Run(t.Context(), tx)).To(Succeed())
	chains, err := nft.List(t.Context(), "chains")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(chains).To(ConsistOf("prerouting", "postrouting"))
	g.Expect(ask(from, "10.96.0.1")).To(HavePrefix("10.77."))
	if node.Netns != "" {
		g.Expect(run(t, "nft", "list", "tables")).NotTo(ContainSubstring("service"), "the table is in the node's namespace only")
	}
	tx = nft.NewTransaction()
	tx.Delete(&knftables.Table{})
	g.Expect(nft.Run(t.Context(), tx)).To(Succeed())
}

func TestMachineWithoutDefaultRoute(t *testing.T) {
	requireRoot(t)
	g := NewWithT(t)
	ctx, prefix := t.Context(), newPrefix()
	if strings.Contains(run(t, "ip", "route"), "default") {
		run(t, "ip", "route", "del", "default")
	}
	n, err := New(Config{Prefix: prefix, ServiceCIDRs: []string{"10.96.0.0/12"}, LinkCIDR: "172.30.6.0/24", ConfDir: t.TempDir(), PodCIDRs: []string{"10.78.0.0/24"}})
	g.Expect(err).NotTo(HaveOccurred())
	node, err := n.Setup(ctx)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(node.NodeIP).To(Equal("172.30.6.1"))
	g.Expect(run(t, "ip", "route", "get", "10.96.0.1")).To(ContainSubstring(node.Bridge))
	_, err = Cleanup(ctx, prefix)
	g.Expect(err).NotTo(HaveOccurred())
}
