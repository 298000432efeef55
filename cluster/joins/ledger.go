package joins

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"time"
)

const (
	// Name is that of the ConfigMap with the ledger, in kube-system.
	Name = "coracle-joins"
	// Key is that of the ledger in the ConfigMap's data.
	Key = "ledger"
)

// Bound is how long a name and a range of pod addresses are kept for an agent
// that joined and has not registered its Node.
const Bound = 5 * time.Minute

// The bounds of joins per time. At most 76 names are reserved for one token, and
// 132 in all, which is about half of the ranges that the default pod range has.
const (
	Burst     = 16
	Refill    = 5 * time.Second
	AllBurst  = 32
	AllRefill = 3 * time.Second
)

// Ledger holds what servers remember of joins.
type Ledger struct {
	// Reserved are the nodes that joined and have not registered yet, by name.
	Reserved map[string]Reservation `json:"reserved,omitempty"`
	// Buckets count joins: one for each token and each node that renews its
	// certificates, and one for all tokens. An empty one is left out.
	Buckets map[string]Bucket `json:"buckets,omitempty"`
}

// Reservation keeps a name for an agent.
type Reservation struct {
	// Keys are hashes of the agent's public keys: that in the client certificate it
	// was granted, and that in the one it showed, should the answer have got lost.
	Keys []string `json:"keys"`
	// PodCIDR is the node's range of pod addresses.
	PodCIDR string    `json:"podCIDR,omitempty"`
	Until   time.Time `json:"until"`
}

// Bucket is a token bucket, filled by joins and leaking.
type Bucket struct {
	// Level is how many joins there were at the time At, less what leaked.
	Level float64   `json:"level"`
	At    time.Time `json:"at"`
}

// Decode reads a ledger; an empty text is an empty ledger.
func Decode(text string) (Ledger, error) {
	var l Ledger
	if text != "" {
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			return l, fmt.Errorf("decoding the ledger of joins: %w", err)
		}
	}
	return l, nil
}

// Encode writes a ledger.
func (l Ledger) Encode() (string, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return "", fmt.Errorf("encoding the ledger of joins: %w", err)
	}
	return string(text), nil
}

// Ranges returns the ranges of pod addresses that are reserved, by node.
func (l Ledger) Ranges() map[string][]netip.Prefix {
	ranges := map[string][]netip.Prefix{}
	for node, r := range l.Reserved {
		if p, err := netip.ParsePrefix(r.PodCIDR); err == nil {
			ranges[node] = []netip.Prefix{p}
		}
	}
	return ranges
}

// current returns the ledger without what is over at the time now: reservations
// that expired, or whose nodes have registered, and empty buckets.
func (l Ledger) current(now time.Time, registered func(node string) bool) Ledger {
	out := Ledger{Reserved: maps.Clone(l.Reserved), Buckets: map[string]Bucket{}}
	if out.Reserved == nil {
		out.Reserved = map[string]Reservation{}
	}
	maps.DeleteFunc(out.Reserved, func(node string, r Reservation) bool { return !now.Before(r.Until) || registered(node) })
	for name, b := range l.Buckets {
		if b = b.leak(now, refill(name)); b.Level > 0 {
			out.Buckets[name] = b
		}
	}
	return out
}

// everyToken is the bucket of all tokens together.
const everyToken = "all"

func tokenBucket(id string) string  { return "token/" + id }
func nodeBucket(node string) string { return "node/" + node }

func burst(bucket string) float64 {
	if bucket == everyToken {
		return AllBurst
	}
	return Burst
}

func refill(bucket string) time.Duration {
	if bucket == everyToken {
		return AllRefill
	}
	return Refill
}

// leak returns the bucket as it is at the time now. A server's clock that is
// behind another's does not fill it.
func (b Bucket) leak(now time.Time, each time.Duration) Bucket {
	if elapsed := now.Sub(b.At); elapsed > 0 {
		return Bucket{Level: max(0, b.Level-float64(elapsed)/float64(each)), At: now}
	}
	return b
}

// take counts one join in each of the buckets, or in none, and then returns how
// long it is until they all have room.
func (l Ledger) take(now time.Time, buckets ...string) (wait time.Duration) {
	for _, name := range buckets {
		if over := l.Buckets[name].Level + 1 - burst(name); over > 0 {
			wait = max(wait, time.Duration(over*float64(refill(name))))
		}
	}
	if wait > 0 {
		return wait
	}
	for _, name := range buckets {
		b, known := l.Buckets[name]
		if !known {
			b.At = now
		}
		b.Level++
		l.Buckets[name] = b
	}
	return 0
}
