package nodelifecycle

import (
	"maps"
	"slices"
	"time"
)

// zoneState is the degree of a zone's disruption.
type zoneState string

const (
	stateNormal            zoneState = "Normal"
	stateFullDisruption    zoneState = "FullDisruption"
	statePartialDisruption zoneState = "PartialDisruption"
)

// rates limits how fast nodes of a zone may be given NoExecute taints.
type rates struct {
	// primary and secondary are nodes per second.
	primary, secondary float64
	// threshold is the share of unready nodes from which a zone counts as
	// partially disrupted.
	threshold float64
	// large is the number of nodes above which a partially disrupted zone is
	// still evicted, at the secondary rate.
	large int
}

// zones gives out tokens for evictions, one per node, zone by zone. It has no
// clock and is not safe for concurrent use.
//
//  1. A node is in one zone, and waits in its zone at most once.
//  2. A zone gives at most one token per 1/rate seconds, first come first served.
type zones struct {
	rates rates
	zones map[string]*zone
	// of holds the zone of each node.
	of map[string]string
	// counted is the number of nodes that count for their zones' health,
	// unready that of those which are not ready.
	counted, unready int
}

// standing is the weight of a node in its zone.
type standing uint8

const (
	unready standing = iota
	ready
	// excluded nodes are tainted like others but do not count for their zone.
	excluded
)

type zone struct {
	ready, unready int
	nodes          map[string]standing
	waiting        []string
	// last is when the last token was given.
	last time.Time
}

func newZones(r rates) *zones {
	return &zones{rates: r, zones: map[string]*zone{}, of: map[string]string{}}
}

// put records the zone and standing of a node and reports whether that stopped
// all evictions or let them go on. served is set if the node needs no token.
func (z *zones) put(node, name string, s standing, served bool) (flipped bool) {
	before := z.allDown()
	z.take(node, name)
	zn := z.zones[name]
	if zn == nil {
		zn = &zone{nodes: map[string]standing{}}
		z.zones[name] = zn
	}
	z.of[node] = name
	zn.nodes[node] = s
	z.count(zn, s, 1)
	if served {
		zn.leave(node)
	}
	return before != z.allDown()
}

// take removes the node; stays is the zone whose queue it keeps its place in.
func (z *zones) take(node, stays string) {
	name, ok := z.of[node]
	if !ok {
		return
	}
	zn := z.zones[name]
	z.count(zn, zn.nodes[node], -1)
	delete(zn.nodes, node)
	delete(z.of, node)
	if name != stays {
		zn.leave(node)
		if len(zn.nodes) == 0 {
			delete(z.zones, name)
		}
	}
}

func (z *zones) count(zn *zone, s standing, by int) {
	switch s {
	case excluded:
		return
	case ready:
		zn.ready += by
	case unready:
		zn.unready += by
		z.unready += by
	}
	z.counted += by
}

// remove forgets a node that is gone.
func (z *zones) remove(node string) (flipped bool) {
	before := z.allDown()
	z.take(node, "\x00none")
	return before != z.allDown()
}

func (zn *zone) leave(node string) {
	if i := slices.Index(zn.waiting, node); i >= 0 {
		zn.waiting = slices.Delete(zn.waiting, i, i+1)
	}
}

func (z *zones) state(zn *zone) zoneState {
	switch total := zn.ready + zn.unready; {
	case zn.ready == 0 && zn.unready > 0:
		return stateFullDisruption
	case zn.unready > 2 && float64(zn.unready)/float64(total) >= z.rates.threshold:
		return statePartialDisruption
	default:
		return stateNormal
	}
}

// allDown reports whether no node at all is ready: more likely the control
// plane cannot hear them.
func (z *zones) allDown() bool { return z.counted > 0 && z.unready == z.counted }

// rate returns the tokens per second of a zone, 0 for none.
func (z *zones) rate(zn *zone) float64 {
	if z.allDown() {
		return 0
	}
	if z.state(zn) != statePartialDisruption {
		return z.rates.primary
	}
	if zn.ready+zn.unready > z.rates.large {
		return z.rates.secondary
	}
	return 0
}

// ask puts a node in the queue of its zone.
func (z *zones) ask(node string) {
	zn := z.zones[z.of[node]]
	if zn != nil && !slices.Contains(zn.waiting, node) {
		zn.waiting = append(zn.waiting, node)
	}
}

// grant returns the nodes that get a token now, and when the next one is due;
// zero if only an event can bring one.
func (z *zones) grant(now time.Time) (nodes []string, next time.Time) {
	for _, name := range slices.Sorted(maps.Keys(z.zones)) {
		zn := z.zones[name]
		rate := z.rate(zn)
		if len(zn.waiting) == 0 || rate <= 0 {
			continue
		}
		pause := time.Duration(float64(time.Second) / rate)
		if due := zn.last.Add(pause); zn.last.IsZero() || !due.After(now) {
			nodes = append(nodes, zn.waiting[0])
			zn.waiting = slices.Delete(zn.waiting, 0, 1)
			zn.last = now
		}
		if due := zn.last.Add(pause); len(zn.waiting) > 0 && (next.IsZero() || due.Before(next)) {
			next = due
		}
	}
	return nodes, next
}

// fare holds the number of nodes that count in a zone, and of those that are not ready.
type fare struct {
	zone           string
	ready, unready int
}

func (z *zones) fare() []fare {
	out := make([]fare, 0, len(z.zones))
	for name, zn := range z.zones {
		out = append(out, fare{name, zn.ready, zn.unready})
	}
	return out
}
