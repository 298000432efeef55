//go:build linux

package nft

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/knftables"

	"github.com/coracle-k8s/coracle/proxy/model"
)

// Table keeps one nftables table. It is not safe for concurrent use.
type Table struct {
	nft knftables.Interface
	cfg Config

	// applied holds the table's contents, by Service; valid is set if they are known.
	applied map[types.NamespacedName]*Fragment
	valid   bool
	// claims are the verdicts that Services want for an element: two may name
	// the same external IP or node port, and the first by name has it.
	claims map[element]map[types.NamespacedName]string
}

// NewTable returns a Table that writes through nft, which must be of the
// configured family. Nothing is written before Apply.
func NewTable(nft knftables.Interface, cfg Config) *Table {
	return &Table{nft: nft, cfg: cfg,
		applied: map[types.NamespacedName]*Fragment{},
		claims:  map[element]map[types.NamespacedName]string{}}
}

// Result describes the transaction of an Apply.
type Result struct {
	// Full is set if the whole table was written.
	Full bool
	// Operations counts the statements of the transaction.
	Operations int
}

// Apply brings changed Services (nil: gone) into the table in one transaction.
// After an error the next Apply rewrites the table; no change is lost.
func (t *Table) Apply(ctx context.Context, changes map[types.NamespacedName]*model.Service) (Result, error) {
	tx := t.nft.NewTransaction()
	full := !t.valid
	merged := newDelta()
	verdicts := map[element]string{}
	for _, name := range slices.SortedFunc(maps.Keys(changes), compareNames) {
		var fresh *Fragment
		if svc := changes[name]; svc != nil {
			fresh = Render(svc, &t.cfg)
		}
		d := diff(t.applied[name], fresh)
		merged.merge(&d)
		for _, e := range append(d.setElements, d.dropElements...) {
			if _, seen := verdicts[e]; !seen {
				verdicts[e] = t.current(e)
			}
			t.claim(e, name, fresh)
		}
		if fresh == nil {
			delete(t.applied, name)
		} else {
			t.applied[name] = fresh
		}
	}
	if full {
		t.writeAll(tx)
	} else {
		if merged.empty() && len(verdicts) == 0 {
			return Result{}, nil
		}
		t.writeDelta(tx, merged, verdicts)
	}
	result := Result{Full: full, Operations: tx.NumOperations()}
	if result.Operations == 0 {
		return result, nil
	}
	t.valid = false
	if err := t.nft.Run(ctx, tx); err != nil {
		return result, fmt.Errorf("writing nftables: %w", err)
	}
	t.valid = true
	return result, nil
}

// Cleanup removes the table.
func (t *Table) Cleanup(ctx context.Context) error {
	t.valid = false
	return Remove(ctx, t.nft)
}

// Remove removes the table that nft works on, if it is there.
func Remove(ctx context.Context, nft knftables.Interface) error {
	tx := nft.NewTransaction()
	tx.Add(&knftables.Table{})
	tx.Delete(&knftables.Table{})
	if err := nft.Run(ctx, tx); err != nil {
		return fmt.Errorf("removing nftables table: %w", err)
	}
	return nil
}

func compareNames(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) }

// absent is no element's verdict.
const absent = "\x00absent"

// current returns the verdict that the claims give an element.
func (t *Table) current(e element) string {
	claims := t.claims[e]
	if len(claims) == 0 {
		return absent
	}
	return claims[slices.MinFunc(slices.Collect(maps.Keys(claims)), compareNames)]
}

func (t *Table) claim(e element, name types.NamespacedName, fresh *Fragment) {
	if fresh != nil {
		if verdict, ok := fresh.elements[e]; ok {
			if t.claims[e] == nil {
				t.claims[e] = map[types.NamespacedName]string{}
			}
			t.claims[e][name] = verdict
			return
		}
	}
	delete(t.claims[e], name)
	if len(t.claims[e]) == 0 {
		delete(t.claims, e)
	}
}

func (t *Table) writeAll(tx *knftables.Transaction) {
	// Deleting needs an existing table; the three together are atomic.
	tx.Add(&knftables.Table{})
	tx.Delete(&knftables.Table{})
	tx.Add(&knftables.Table{Comment: knftables.PtrTo("rules for Services, by coracle")})
	addBase(tx, &t.cfg)
	all := newDelta()
	for _, name := range slices.SortedFunc(maps.Keys(t.applied), compareNames) {
		d := diff(nil, t.applied[name])
		all.merge(&d)
	}
	was := make(map[element]string, len(t.claims))
	for e := range t.claims {
		was[e] = absent
	}
	t.writeDelta(tx, all, was)
}

// writeDelta orders the statements so that nothing is named before it exists or
// deleted while it is named. was holds the verdicts before the change.
func (t *Table) writeDelta(tx *knftables.Transaction, d *delta, was map[element]string) {
	for _, name := range d.addSets {
		timeout := d.timeouts[name]
		tx.Add(&knftables.Set{Name: name, Type: t.cfg.words().addrType,
			Flags: []knftables.SetFlag{knftables.DynamicFlag, knftables.TimeoutFlag}, Timeout: &timeout})
	}
	for _, name := range d.addChains {
		tx.Add(&knftables.Chain{Name: name})
	}
	ordered := slices.SortedFunc(maps.Keys(was), func(a, b element) int {
		return strings.Compare(a.container+"\x00"+a.key, b.container+"\x00"+b.key)
	})
	for _, e := range ordered {
		if was[e] != absent && was[e] != t.current(e) {
			tx.Delete(knftablesElement(e, was[e]))
		}
	}
	added := map[string]bool{}
	for _, name := range d.addChains {
		added[name] = true
	}
	for _, name := range d.rewriteChains {
		if !added[name] {
			tx.Flush(&knftables.Chain{Name: name})
		}
	}
	for _, name := range d.deleteChains {
		tx.Flush(&knftables.Chain{Name: name})
	}
	for _, name := range d.rewriteChains {
		for _, rule := range d.rules[name] {
			tx.Add(&knftables.Rule{Chain: name, Rule: rule})
		}
	}
	for _, e := range ordered {
		if now := t.current(e); now != absent && now != was[e] {
			tx.Add(knftablesElement(e, now))
		}
	}
	for _, name := range d.deleteChains {
		tx.Delete(&knftables.Chain{Name: name})
	}
	for _, name := range d.deleteSets {
		tx.Delete(&knftables.Set{Name: name})
	}
}

func knftablesElement(e element, verdict string) *knftables.Element {
	key := strings.Split(e.key, " . ")
	if e.container == setClusterIPs {
		return &knftables.Element{Set: e.container, Key: key}
	}
	return &knftables.Element{Map: e.container, Key: key, Value: []string{verdict}}
}
