//go:build linux

package nft

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// element is a key in one of the table's sets and maps.
type element struct {
	container string // a name of setDefs or mapDefs
	key       string // parts joined by " . "
}

// Fragment is one Service's part of the table.
type Fragment struct {
	chains   map[string][]string
	affinity map[string]time.Duration // set name → timeout
	elements map[element]string       // → verdict, "" in a set
}

func newFragment() *Fragment {
	return &Fragment{chains: map[string][]string{}, affinity: map[string]time.Duration{}, elements: map[element]string{}}
}

// delta holds the changes from one Fragment to another.
type delta struct {
	addSets, deleteSets       []string
	addChains, deleteChains   []string
	rewriteChains             []string // of addChains too
	setElements, dropElements []element
	rules                     map[string][]string      // of rewriteChains
	timeouts                  map[string]time.Duration // of addSets
}

func newDelta() *delta {
	return &delta{rules: map[string][]string{}, timeouts: map[string]time.Duration{}}
}

// merge adds what another Service's change asks of chains and sets. Elements are
// left out: Services may share them.
func (d *delta) merge(o *delta) {
	d.addSets = append(d.addSets, o.addSets...)
	d.deleteSets = append(d.deleteSets, o.deleteSets...)
	d.addChains = append(d.addChains, o.addChains...)
	d.deleteChains = append(d.deleteChains, o.deleteChains...)
	d.rewriteChains = append(d.rewriteChains, o.rewriteChains...)
	maps.Copy(d.rules, o.rules)
	maps.Copy(d.timeouts, o.timeouts)
}

func (d *delta) empty() bool {
	return len(d.addSets)+len(d.deleteSets)+len(d.addChains)+len(d.deleteChains)+len(d.rewriteChains)+
		len(d.setElements)+len(d.dropElements) == 0
}

// diff compares two Fragments, each of which may be nil. Everything is sorted,
// so that equal changes make equal transactions.
func diff(old, fresh *Fragment) delta {
	if old == nil {
		old = newFragment()
	}
	if fresh == nil {
		fresh = newFragment()
	}
	d := *newDelta()
	d.addSets = missing(fresh.affinity, old.affinity)
	for _, name := range d.addSets {
		d.timeouts[name] = fresh.affinity[name]
	}
	d.deleteSets = missing(old.affinity, fresh.affinity)
	d.addChains = missing(fresh.chains, old.chains)
	d.deleteChains = missing(old.chains, fresh.chains)
	for _, name := range slices.Sorted(maps.Keys(fresh.chains)) {
		was, existed := old.chains[name]
		if !existed || !slices.Equal(was, fresh.chains[name]) {
			d.rewriteChains = append(d.rewriteChains, name)
			d.rules[name] = fresh.chains[name]
		}
	}
	for _, e := range sortedElements(fresh.elements) {
		if was, existed := old.elements[e]; !existed || was != fresh.elements[e] {
			d.setElements = append(d.setElements, e)
		}
	}
	for _, e := range sortedElements(old.elements) {
		if _, stays := fresh.elements[e]; !stays {
			d.dropElements = append(d.dropElements, e)
		}
	}
	return d
}

// missing lists the keys of a that b lacks.
func missing[V any](a, b map[string]V) []string {
	var out []string
	for name := range a {
		if _, ok := b[name]; !ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func sortedElements(m map[element]string) []element {
	return slices.SortedFunc(maps.Keys(m), func(a, b element) int {
		if c := strings.Compare(a.container, b.container); c != 0 {
			return c
		}
		return strings.Compare(a.key, b.key)
	})
}
