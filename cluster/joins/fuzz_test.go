package joins

import (
	"net/netip"
	"testing"
	"time"
)

// FuzzLedger reads the ledger of a ConfigMap, which any administrator may edit, and
// decides by it about an agent's request.
func FuzzLedger(f *testing.F) {
	for _, text := range []string{
		"", "{}", "null", "[]", `{"reserved":{"a":{"keys":["k"],"podCIDR":"10.244.1.0/24","until":"2030-01-01T00:00:00Z"}},"buckets":{"all":{"level":3,"at":"2026-01-01T00:00:00Z"}}}`,
		`{"reserved":{"a":{"keys":null,"podCIDR":"x","until":"9999-01-01T00:00:00Z"}},"buckets":{"token/x":{"level":1e300,"at":"0001-01-01T00:00:00Z"}}}`, `{"buckets":{"all":{"level":-5}}}`,
	} {
		f.Add(text, "agent-1", "192.0.2.7", "key")
		f.Add(text, "a", "::ffff:192.0.2.7", "")
		f.Add(text, "-", "192.0.2.7%eth0", "k")
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	peer := netip.MustParseAddr("192.0.2.7")
	f.Fuzz(func(t *testing.T, text, node, address, key string) {
		ledger, err := Decode(text)
		if err != nil {
			return
		}
		ledger.Ranges()
		for _, r := range []Request{{Token: "abcdef", Peer: peer, Node: node, Address: address, Key: key}, {Certificate: node, Shown: "shown", Peer: peer, Node: node, Address: address, Key: key}} {
			next, no := Plan(r, Known{Now: now, Ledger: ledger, ClusterDomain: "cluster.local", Host: "host"})
			if no != nil {
				if no.Code < 400 || no.Code >= 500 || no.After < 0 {
					t.Errorf("refused with %+v", no)
				}
				continue
			}
			encoded, err := next.Encode()
			if err != nil {
				t.Fatalf("a ledger that cannot be kept: %v", err)
			}
			if _, err := Decode(encoded); err != nil {
				t.Errorf("%q cannot be read again: %v", encoded, err)
			}
			if a, err := netip.ParseAddr(r.Address); err != nil || a.Unmap() != peer {
				t.Errorf("%s may join as %q", peer, r.Address)
			}
		}
	})
}
