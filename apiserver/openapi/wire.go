package openapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"
)

// Merge types are stored a line each, `name JSON`, after lines
// `group/version/kind name` and an empty line, so that one type can be read
// without the others. The stock schema types have no JSON form (List and Map
// are embedded and share field names), so these mirror them.
type (
	wireAtom struct {
		Scalar string    `json:"s,omitempty"`
		List   *wireList `json:"l,omitempty"`
		Map    *wireMap  `json:"m,omitempty"`
	}
	wireRef struct {
		Name         string    `json:"n,omitempty"`
		Inlined      *wireAtom `json:"i,omitempty"`
		Relationship *string   `json:"r,omitempty"`
		Nullable     bool      `json:"u,omitempty"`
	}
	wireList struct {
		Element      wireRef  `json:"e"`
		Relationship string   `json:"r,omitempty"`
		Keys         []string `json:"k,omitempty"`
	}
	wireMap struct {
		Fields       []wireField `json:"f,omitempty"`
		Element      wireRef     `json:"e,omitzero"`
		Relationship string      `json:"r,omitempty"`
	}
	wireField struct {
		Name    string  `json:"n"`
		Type    wireRef `json:"t"`
		Default any     `json:"d,omitempty"`
	}
)

// EncodeTypes writes merge types in the form readTypes reads.
func EncodeTypes(kinds map[schema.GroupVersionKind]string, types []smd.TypeDef) ([]byte, error) {
	var lines []string
	for gvk, name := range kinds {
		lines = append(lines, fmt.Sprintf("%s/%s/%s %s\n", gvk.Group, gvk.Version, gvk.Kind, name))
	}
	slices.Sort(lines)
	var b strings.Builder
	b.WriteString(strings.Join(lines, "") + "\n")
	for _, t := range types {
		data, err := json.Marshal(toWire(t.Atom))
		if err != nil {
			return nil, fmt.Errorf("encoding type %s: %w", t.Name, err)
		}
		fmt.Fprintf(&b, "%s %s\n", t.Name, data)
	}
	return []byte(b.String()), nil
}

func toWire(a smd.Atom) wireAtom {
	var w wireAtom
	if a.Scalar != nil {
		w.Scalar = string(*a.Scalar)
	}
	if a.List != nil {
		w.List = &wireList{Element: toWireRef(a.List.ElementType), Relationship: string(a.List.ElementRelationship), Keys: a.List.Keys}
	}
	if a.Map != nil {
		w.Map = &wireMap{Element: toWireRef(a.Map.ElementType), Relationship: string(a.Map.ElementRelationship)}
		for _, f := range a.Map.Fields {
			w.Map.Fields = append(w.Map.Fields, wireField{Name: f.Name, Type: toWireRef(f.Type), Default: f.Default})
		}
	}
	return w
}

func toWireRef(r smd.TypeRef) wireRef {
	w := wireRef{Nullable: r.Nullable}
	if r.NamedType != nil {
		w.Name = *r.NamedType
	} else if r.Inlined != (smd.Atom{}) {
		inlined := toWire(r.Inlined)
		w.Inlined = &inlined
	}
	if r.ElementRelationship != nil {
		relationship := string(*r.ElementRelationship)
		w.Relationship = &relationship
	}
	return w
}

// fromWire also reports every named type it refers to.
func fromWire(w wireAtom, refers func(string)) smd.Atom {
	var a smd.Atom
	if w.Scalar != "" {
		scalar := smd.Scalar(w.Scalar)
		a.Scalar = &scalar
	}
	if w.List != nil {
		a.List = &smd.List{ElementType: fromWireRef(w.List.Element, refers), ElementRelationship: smd.ElementRelationship(w.List.Relationship), Keys: w.List.Keys}
	}
	if w.Map != nil {
		a.Map = &smd.Map{ElementType: fromWireRef(w.Map.Element, refers), ElementRelationship: smd.ElementRelationship(w.Map.Relationship)}
		for _, f := range w.Map.Fields {
			a.Map.Fields = append(a.Map.Fields, smd.StructField{Name: f.Name, Type: fromWireRef(f.Type, refers), Default: f.Default})
		}
	}
	return a
}

func fromWireRef(w wireRef, refers func(string)) smd.TypeRef {
	r := smd.TypeRef{Nullable: w.Nullable}
	if w.Name != "" {
		refers(w.Name)
		r.NamedType = &w.Name
	}
	if w.Inlined != nil {
		r.Inlined = fromWire(*w.Inlined, refers)
	}
	if w.Relationship != nil {
		relationship := smd.ElementRelationship(*w.Relationship)
		r.ElementRelationship = &relationship
	}
	return r
}
