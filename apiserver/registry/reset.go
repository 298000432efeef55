package registry

import (
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Resets is a strategy's answer of which fields it puts back, so that
// server-side apply does not claim them.
type Resets map[fieldpath.APIVersion]*fieldpath.Set

// NewResets lists the fields that are put back in gv, each a path such as
// {"status", "conditions"}.
func NewResets(gv schema.GroupVersion, paths ...[]any) Resets {
	set := fieldpath.NewSet()
	for _, path := range paths {
		set.Insert(fieldpath.MakePathOrDie(path...))
	}
	return Resets{fieldpath.APIVersion(gv.String()): set}
}

// Also puts the same fields back in other versions of the group.
func (r Resets) Also(versions ...string) Resets {
	for gv, set := range r {
		group, _, _ := strings.Cut(string(gv), "/")
		for _, version := range versions {
			r[fieldpath.APIVersion(group+"/"+version)] = set
		}
		break // r has one version
	}
	return r
}

// GetResetFields implements rest.ResetFieldsStrategy.
func (r Resets) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set { return r }
