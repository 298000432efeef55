package openapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// TypeConverter gives managed fields the merge schema of a kind, read when the
// kind is first written. It implements managedfields.TypeConverter.
type TypeConverter struct {
	// texts hold the types of stable versions, then those that optional ones have
	// besides.
	texts []string

	lines map[string]string // type name or group/version/kind -> rest of its line

	mu    sync.Mutex
	types map[string]*parsedType
	kinds map[schema.GroupVersionKind]*typed.ParseableType
}

type parsedType struct {
	def    smd.TypeDef
	refers []string
}

func newTypeConverter(texts ...string) *TypeConverter {
	return &TypeConverter{texts: texts, lines: map[string]string{}, types: map[string]*parsedType{}, kinds: map[schema.GroupVersionKind]*typed.ParseableType{}}
}

// ObjectToTyped implements managedfields.TypeConverter.
func (c *TypeConverter) ObjectToTyped(obj runtime.Object, opts ...typed.ValidationOptions) (*typed.TypedValue, error) {
	t, err := c.kind(obj.GetObjectKind().GroupVersionKind())
	if err != nil {
		return nil, err
	}
	if u, ok := obj.(*unstructured.Unstructured); ok {
		return t.FromUnstructured(u.UnstructuredContent(), opts...)
	}
	return t.FromStructured(obj, opts...)
}

// TypedToObject implements managedfields.TypeConverter.
func (c *TypeConverter) TypedToObject(v *typed.TypedValue) (runtime.Object, error) {
	content, ok := v.AsValue().Unstructured().(map[string]any)
	if !ok {
		return nil, fmt.Errorf("converting a merged value to an object: got %T", v.AsValue().Unstructured())
	}
	return &unstructured.Unstructured{Object: content}, nil
}

func (c *TypeConverter) kind(gvk schema.GroupVersionKind) (*typed.ParseableType, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.kinds[gvk]; t != nil {
		return t, nil
	}
	root, ok := c.lines[gvk.Group+"/"+gvk.Version+"/"+gvk.Kind]
	for !ok && len(c.texts) > 0 {
		c.index(c.texts[0])
		c.texts = c.texts[1:]
		root, ok = c.lines[gvk.Group+"/"+gvk.Version+"/"+gvk.Kind]
	}
	if !ok {
		return nil, fmt.Errorf("no merge schema for %s", gvk)
	}
	defs, err := c.closure(root)
	if err != nil {
		return nil, fmt.Errorf("reading the merge schema of %s: %w", gvk, err)
	}
	t := &typed.ParseableType{TypeRef: smd.TypeRef{NamedType: &root}, Schema: &smd.Schema{Types: defs}}
	c.kinds[gvk] = t
	return t, nil
}

func (c *TypeConverter) index(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		if name, rest, ok := strings.Cut(line, " "); ok {
			c.lines[name] = rest
		}
	}
}

// closure reads a type and all it refers to.
func (c *TypeConverter) closure(root string) ([]smd.TypeDef, error) {
	var defs []smd.TypeDef
	seen := map[string]bool{root: true}
	for todo := []string{root}; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		t, err := c.typ(name)
		if err != nil {
			return nil, err
		}
		defs = append(defs, t.def)
		for _, next := range t.refers {
			if !seen[next] {
				seen[next] = true
				todo = append(todo, next)
			}
		}
	}
	return defs, nil
}

func (c *TypeConverter) typ(name string) (*parsedType, error) {
	if t := c.types[name]; t != nil {
		return t, nil
	}
	line, ok := c.lines[name]
	if !ok {
		return nil, fmt.Errorf("type %s is missing", name)
	}
	var wire wireAtom
	if err := json.Unmarshal([]byte(line), &wire); err != nil {
		return nil, fmt.Errorf("type %s: %w", name, err)
	}
	t := &parsedType{}
	t.def = smd.TypeDef{Name: name, Atom: fromWire(wire, func(n string) { t.refers = append(t.refers, n) })}
	c.types[name] = t
	return t, nil
}
