package node

import (
	"testing"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
)

func TestPodSubnet(t *testing.T) {
	for _, c := range []struct {
		all  string
		node int
		want string
	}{
		{"10.244.0.0/16", 0, "10.244.0.0/24"},
		{"10.244.0.0/16", 255, "10.244.255.0/24"},
		{"10.244.0.0/16", 256, ""},
		{"10.0.0.0/8", 65535, "10.255.255.0/24"},
		{"10.1.2.0/24", 0, "10.1.2.0/24"},
		{"10.1.2.0/24", 1, ""},
		{"10.1.2.0/25", 0, "10.1.2.0/25"},
	} {
		config := &v1alpha1.Cluster{Network: v1alpha1.Network{PodCIDR: c.all}}
		config.Default()
		got, err := PodSubnet(config.Network, c.node)
		if (err != nil) != (c.want == "") || err == nil && got.String() != c.want {
			t.Errorf("node %d of %s: got %s, %v; want %q", c.node, c.all, got, err, c.want)
		}
	}
}
