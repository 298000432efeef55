package hub

import (
	"fmt"
	"reflect"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// AddVersion registers kinds of gv that the hub has in Go types of another
// version, which must be there already: the types, conversions to and from the
// hub, and the hub's defaults. Each of objects is registered with its list.
//
// Fields of the same name are converted into each other. Where two types of a
// pair differ in more, rules convert the rest; others set different defaults.
func AddVersion(s *runtime.Scheme, gv schema.GroupVersion, objects []runtime.Object, rules ...Rule) error {
	internal := schema.GroupVersion{Group: gv.Group, Version: runtime.APIVersionInternal}
	metav1.AddToGroupVersion(s, gv)
	kinds := s.KnownTypes(internal)
	for _, obj := range objects {
		t := reflect.TypeOf(obj).Elem()
		target, ok := kinds[t.Name()]
		if !ok {
			return fmt.Errorf("registering %s of %s: the hub has no such kind", t.Name(), gv)
		}
		s.AddKnownTypes(gv, obj)
		c := newConverter(rules)
		for _, pair := range [][2]reflect.Type{{t, target}, {target, t}} {
			if err := c.register(s, pair[0], pair[1]); err != nil {
				return fmt.Errorf("registering conversions of %s of %s: %w", t.Name(), gv, err)
			}
		}
		if !strings.HasSuffix(t.Name(), "List") {
			addDefaults(s, c, obj, target)
		}
	}
	return nil
}

// addDefaults registers the hub's defaults for objects of another version.
func addDefaults(s *runtime.Scheme, c *Converter, obj runtime.Object, target reflect.Type) {
	t := reflect.TypeOf(obj).Elem()
	own := c.rules[[2]reflect.Type{t, t}].apply
	s.AddTypeDefaultingFunc(obj, func(obj any) {
		hubs := func() {
			in, hub := reflect.ValueOf(obj).Elem(), reflect.New(target)
			c.convert(t, target)(in, hub.Elem())
			s.Default(hub.Interface().(runtime.Object)) //nolint:forcetypeassert // AddKnownTypes took it
			c.convert(target, t)(hub.Elem(), in)
		}
		if own == nil {
			hubs()
			return
		}
		own(c, obj, hubs)
	})
}

// NewDefaults returns the rule for a kind whose defaults differ from the hub's in a
// version: f sets the version's own, and calls hubs for the others.
func NewDefaults[A any](f func(obj *A, hubs func())) Rule {
	return Rule{from: reflect.TypeFor[A](), to: reflect.TypeFor[A](), apply: func(_ *Converter, obj, hubs any) {
		f(obj.(*A), hubs.(func())) //nolint:forcetypeassert // the rule is looked up by this type
	}}
}

// Rule converts what differs between two types besides their fields of the same
// name, which have been converted when it is called.
type Rule struct {
	from, to reflect.Type
	apply    func(c *Converter, in, out any)
}

// NewRule returns the rule from A to B.
func NewRule[A, B any](f func(c *Converter, in *A, out *B)) Rule {
	return Rule{from: reflect.TypeFor[A](), to: reflect.TypeFor[B](), apply: func(c *Converter, in, out any) {
		f(c, in.(*A), out.(*B)) //nolint:forcetypeassert // the rule is looked up by these types
	}}
}

// Fields converts the fields of the same name of two structs, given as pointers.
func (c *Converter) Fields(in, out any) {
	from, to := reflect.ValueOf(in).Elem(), reflect.ValueOf(out).Elem()
	c.convert(from.Type(), to.Type())(from, to)
}

// convertFunc converts a value into one that can be set. They share what they
// point to where its type is the same.
type convertFunc func(in, out reflect.Value)

// Converter compiles conversions between types when they are first needed.
type Converter struct {
	rules map[[2]reflect.Type]Rule

	mu       sync.Mutex
	compiled map[[2]reflect.Type]*convertFunc
}

func newConverter(rules []Rule) *Converter {
	c := &Converter{rules: map[[2]reflect.Type]Rule{}, compiled: map[[2]reflect.Type]*convertFunc{}}
	for _, r := range rules {
		c.rules[[2]reflect.Type{r.from, r.to}] = r
	}
	return c
}

func (c *Converter) register(s *runtime.Scheme, from, to reflect.Type) error {
	return s.AddConversionFunc(reflect.New(from).Interface(), reflect.New(to).Interface(), func(in, out any, _ conversion.Scope) error {
		c.convert(from, to)(reflect.ValueOf(in).Elem(), reflect.ValueOf(out).Elem())
		return nil
	})
}

func (c *Converter) convert(from, to reflect.Type) convertFunc {
	c.mu.Lock()
	defer c.mu.Unlock()
	return *c.compile(from, to)
}

// compile returns the conversion of one type to another, nil if there is none. A
// pointer to it is known before it is complete, so that types may refer to
// themselves. mu is held.
func (c *Converter) compile(from, to reflect.Type) *convertFunc {
	pair := [2]reflect.Type{from, to}
	if f, ok := c.compiled[pair]; ok {
		return f
	}
	f := new(convertFunc)
	c.compiled[pair] = f
	switch _, ruled := c.rules[pair]; {
	case from == to:
		*f = func(in, out reflect.Value) { out.Set(in) }
	case from.Kind() != to.Kind():
		c.compiled[pair] = nil
	case from.ConvertibleTo(to) && !ruled:
		*f = func(in, out reflect.Value) { out.Set(in.Convert(to)) }
	case from.Kind() == reflect.Struct:
		*f = c.fields(from, to)
	default:
		if *f = c.elements(from, to); *f == nil {
			c.compiled[pair] = nil
		}
	}
	return c.compiled[pair]
}

// elements converts pointers, slices and maps.
func (c *Converter) elements(from, to reflect.Type) convertFunc {
	switch from.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
	default:
		return nil
	}
	element := c.compile(from.Elem(), to.Elem())
	if element == nil {
		return nil
	}
	switch from.Kind() {
	case reflect.Pointer:
		return orNil(func(in, out reflect.Value) {
			out.Set(reflect.New(to.Elem()))
			(*element)(in.Elem(), out.Elem())
		})
	case reflect.Slice:
		return orNil(func(in, out reflect.Value) {
			out.Set(reflect.MakeSlice(to, in.Len(), in.Len()))
			for i := range in.Len() {
				(*element)(in.Index(i), out.Index(i))
			}
		})
	default:
		return orNil(func(in, out reflect.Value) {
			out.Set(reflect.MakeMapWithSize(to, in.Len()))
			value := reflect.New(to.Elem()).Elem()
			for it := in.MapRange(); it.Next(); {
				value.SetZero()
				(*element)(it.Value(), value)
				out.SetMapIndex(it.Key().Convert(to.Key()), value)
			}
		})
	}
}

func orNil(f convertFunc) convertFunc {
	return func(in, out reflect.Value) {
		if in.IsNil() {
			out.SetZero()
			return
		}
		f(in, out)
	}
}

// fields converts structs: their fields of the same name, then what a rule does. The
// kind of an object stays as it is, as with conversions upstream: one of the hub has none.
func (c *Converter) fields(from, to reflect.Type) convertFunc {
	type step struct {
		in, out int
		convert *convertFunc
	}
	var steps []step
	for i := range from.NumField() {
		f, ok := to.FieldByName(from.Field(i).Name)
		if !ok || len(f.Index) != 1 || f.Type == reflect.TypeFor[metav1.TypeMeta]() {
			continue
		}
		if convert := c.compile(from.Field(i).Type, f.Type); convert != nil {
			steps = append(steps, step{i, f.Index[0], convert})
		}
	}
	rule, ruled := c.rules[[2]reflect.Type{from, to}]
	return func(in, out reflect.Value) {
		for _, s := range steps {
			(*s.convert)(in.Field(s.in), out.Field(s.out))
		}
		if !ruled {
			return
		}
		whole := in
		if !in.CanAddr() { // a value of a map
			whole = reflect.New(from).Elem()
			whole.Set(in)
		}
		rule.apply(c, whole.Addr().Interface(), out.Addr().Interface())
	}
}
