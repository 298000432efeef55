package mangle

import (
	"bytes"
	"os"
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis"
)

// Kind is a kind with the functions that validate it.
type Kind struct {
	hub     reflect.Type
	empty   runtime.Object
	create  func(runtime.Object) field.ErrorList
	updates []func(now, old runtime.Object) field.ErrorList
}

// Of returns the kind T. The first of updates validates a change of the whole
// object, the others those of subresources.
func Of[T any, P interface {
	*T
	runtime.Object
}](create func(P) field.ErrorList, updates ...func(now, old P) field.ErrorList) Kind {
	k := Kind{hub: reflect.TypeFor[T](), empty: P(new(T)), create: func(o runtime.Object) field.ErrorList { return create(o.(P)) }}
	for _, u := range updates {
		k.updates = append(k.updates, func(now, old runtime.Object) field.ErrorList { return u(now.(P), old.(P)) })
	}
	return k
}

// objects has a sample of almost every kind, as seen from a folder of an API group.
const objects = "../../apiserver/registry/all/testdata/objects.yaml"

// sample is an object as it comes over the wire.
type sample struct {
	wire runtime.Object
	gvk  schema.GroupVersionKind
	kind Kind
}

// group is the kinds of an API group, under fuzz.
type group struct {
	scheme  *runtime.Scheme
	samples []sample
	words   []string
}

// Kinds fuzzes defaults, conversion and validation of an API group: it mangles
// samples of the kinds, which come from the samples of the registry. It fails if
//
//  1. defaults of an object with defaults change it,
//  2. validation changes an object,
//  3. an object that may be created may not be updated to itself,
//  4. an object cannot be converted back to the version it came in,
//
// or if anything panics.
func Kinds(f *testing.F, kinds ...Kind) {
	f.Helper()
	g := newGroup(f, kinds)
	for i := range g.samples {
		f.Add(uint16(i), []byte{})
		for seed := range byte(24) {
			f.Add(uint16(i), bytes.Repeat([]byte{seed, seed * 7, seed * 29, 4, 2, seed * 53}, 4))
		}
	}
	f.Fuzz(func(t *testing.T, which uint16, choices []byte) {
		g.try(t, g.samples[int(which)%len(g.samples)], choices[:min(len(choices), 256)])
	})
}

func newGroup(f *testing.F, kinds []Kind) *group {
	f.Helper()
	g := &group{scheme: apis.NewScheme()}
	input, err := os.ReadFile(objects)
	if err != nil {
		f.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(g.scheme).UniversalDeserializer()
	seen := map[reflect.Type]bool{}
	for _, doc := range bytes.Split(input, []byte("\n---\n")) {
		obj, gvk, err := decoder.Decode(doc, nil, nil)
		if err != nil {
			f.Fatal(err)
		}
		hub, err := g.hub(*gvk, obj.DeepCopyObject())
		if err != nil {
			f.Fatal(err)
		}
		for _, k := range kinds {
			if reflect.TypeOf(hub).Elem() == k.hub {
				g.samples, seen[k.hub] = append(g.samples, sample{obj, *gvk, k}), true
			}
		}
	}
	for _, k := range kinds {
		if !seen[k.hub] { // reviews and the like have none
			gvks, _, err := g.scheme.ObjectKinds(k.empty)
			if err != nil {
				f.Fatal(err)
			}
			k.empty.GetObjectKind().SetGroupVersionKind(gvks[0])
			g.samples = append(g.samples, sample{k.empty, gvks[0], k})
		}
	}
	for _, s := range g.samples {
		g.words = append(g.words, Words(s.wire)...)
	}
	return g
}

// hub defaults and converts as decoding does.
func (g *group) hub(gvk schema.GroupVersionKind, obj runtime.Object) (runtime.Object, error) {
	g.scheme.Default(obj)
	return g.scheme.ConvertToVersion(obj, schema.GroupVersion{Group: gvk.Group, Version: runtime.APIVersionInternal})
}

func (g *group) try(t *testing.T, s sample, choices []byte) {
	old, err := g.hub(s.gvk, s.wire.DeepCopyObject())
	if err != nil {
		t.Fatal(err)
	}
	bad := s.wire.DeepCopyObject()
	Object(bad, choices, g.words)
	bad.GetObjectKind().SetGroupVersionKind(s.gvk)
	g.scheme.Default(bad)
	again := bad.DeepCopyObject()
	g.scheme.Default(again)
	if !equality.Semantic.DeepEqual(bad, again) {
		t.Errorf("defaults change an object that has defaults:\n%+v\n%+v", bad, again)
	}
	now, err := g.hub(s.gvk, bad)
	if err != nil {
		return
	}
	for _, o := range []runtime.Object{now, old} {
		o.(metav1.Object).SetResourceVersion("1")
	}
	s.kind.validate(t, now, old)
	if _, err := g.scheme.ConvertToVersion(now, s.gvk.GroupVersion()); err != nil {
		t.Errorf("converting an object back: %v\n%+v", err, now)
	}
}

func (k Kind) validate(t *testing.T, now, old runtime.Object) {
	before := now.DeepCopyObject()
	errs := k.create(now)
	for i, update := range k.updates {
		update(now, old)
		update(old, now)
		if self := update(now, now.DeepCopyObject()); i == 0 && len(errs) == 0 && len(self) > 0 {
			t.Errorf("what may be created may not stay as it is: %v\n%+v", self, now)
		}
	}
	if !equality.Semantic.DeepEqual(before, now) {
		t.Errorf("validation changed an object:\n%+v\n%+v", before, now)
	}
}
