package network

import "testing"

// FuzzConfig reads a node's ranges and names.
func FuzzConfig(f *testing.F) {
	f.Add("abc123", "10.244.0.0/16", "10.245.0.0/24", 1)
	f.Add("", "", "", -1)
	f.Add("ABC123", "fd00::/64", "10.0.0.1", 0)
	f.Add("abc123", "10.244.0.1/33", "::/0", 1<<40)
	f.Fuzz(func(t *testing.T, prefix, cidr, link string, index int) {
		p, err := Config{Prefix: prefix, NodeIndex: index, LinkCIDR: link, ClusterCIDRs: []string{cidr}, ServiceCIDRs: []string{cidr}, ConfDir: "/x"}.parse()
		if err != nil {
			return
		}
		for _, c := range p.clusters {
			if !c.Addr().Is4() || c != c.Masked() {
				t.Errorf("%q reads %s", cidr, c)
			}
		}
		if p.DataDir == "" || len(prefix) != 6 {
			t.Errorf("%q is taken, with %q", prefix, p.DataDir)
		}
	})
}
