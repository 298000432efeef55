package all

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/test/mangle"
)

// These fuzz tests send bad input through everything a request passes between
// its bytes and the storage: decoding, defaults, strategies, hooks, validation
// of creates and of updates of every subresource, selectors, tables. Nothing may
// panic. To search for more than the seeds:
//
//	go test ./apiserver/registry/all -fuzz FuzzMangled -fuzztime 10m
//	go test ./apiserver/registry/all -fuzz FuzzBytes -fuzztime 10m

// shelf is a storage that holds one object, whatever it is asked for.
type shelf struct {
	storage.Interface
	held runtime.Object
}

func (s *shelf) Versioner() storage.Versioner { return storage.APIObjectVersioner{} }

func set(out, from runtime.Object) {
	reflect.ValueOf(out).Elem().Set(reflect.ValueOf(from.DeepCopyObject()).Elem())
}

func (s *shelf) Create(_ context.Context, _ string, obj, out runtime.Object, _ uint64) error {
	set(out, obj)
	return nil
}

func (s *shelf) Delete(_ context.Context, key string, out runtime.Object, _ *storage.Preconditions, _ storage.ValidateObjectFunc, _ runtime.Object, _ storage.DeleteOptions) error {
	return s.Get(context.Background(), key, storage.GetOptions{}, out)
}

func (s *shelf) Get(_ context.Context, key string, _ storage.GetOptions, out runtime.Object) error {
	if s.held == nil {
		return storage.NewKeyNotFoundError(key, 1)
	}
	set(out, s.held)
	return nil
}

func (s *shelf) GetList(context.Context, string, storage.ListOptions, runtime.Object) error {
	return nil
}

func (s *shelf) GuaranteedUpdate(_ context.Context, key string, out runtime.Object, _ bool, _ *storage.Preconditions, try storage.UpdateFunc, _ runtime.Object) error {
	if s.held == nil {
		return storage.NewKeyNotFoundError(key, 1)
	}
	obj, _, err := try(s.held.DeepCopyObject(), storage.ResponseMeta{ResourceVersion: 1})
	if err == nil {
		set(out, obj)
	}
	return err
}

// shelves opens shelves.
type shelves map[schema.GroupResource]*shelf

func (s shelves) GetRESTOptions(gr schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	s[gr] = &shelf{}
	return generic.RESTOptions{
		StorageConfig: &storagebackend.ConfigForResource{}, ResourcePrefix: "/" + gr.Resource,
		Decorator: func(*storagebackend.ConfigForResource, string, func(runtime.Object) (string, error), func() runtime.Object, func() runtime.Object,
			storage.AttrFunc, storage.IndexerFuncs, *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {
			return s[gr], func() {}, nil
		},
	}, nil
}

// unobserved serves no definitions and announces no services.
type unobserved struct{}

func (unobserved) Sync(context.Context) error             { return nil }
func (unobserved) Demand()                                {}
func (unobserved) Settle(context.Context, string, string) {}

// mill is every resource over shelves, and the samples.
type mill struct {
	env      registry.Env
	codecs   serializer.CodecFactory
	built    map[schema.GroupVersionResource]map[string]rest.Storage
	of       map[schema.GroupVersionKind]*registry.Resource
	shelves  shelves
	samples  []runtime.Object // as they come over the wire
	words    []string
	original map[schema.GroupVersionKind]runtime.Object // hub
}

func newMill(t testing.TB) *mill {
	t.Helper()
	klog.LogToStderr(false) // the libraries' lines about every object they refuse
	klog.SetOutput(io.Discard)
	m := &mill{shelves: shelves{}, of: map[schema.GroupVersionKind]*registry.Resource{}, original: map[schema.GroupVersionKind]runtime.Object{}}
	m.built, m.env = buildOver(t, m.shelves)
	m.codecs = serializer.NewCodecFactory(m.env.Scheme)
	for _, r := range everything() {
		m.of[r.GVK] = r
	}
	input, err := os.ReadFile("testdata/objects.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range strings.Split(string(input), "\n---\n") {
		obj, gvk, err := m.codecs.UniversalDeserializer().Decode([]byte(doc), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if m.of[*gvk] == nil {
			continue
		}
		m.samples = append(m.samples, obj)
		m.original[*gvk] = m.hub(*gvk, obj.DeepCopyObject())
	}
	// Reviews have no samples, they have only questions.
	for gvk, r := range m.of {
		if m.original[gvk] == nil && len(r.Verbs) == 1 {
			obj, err := m.env.Scheme.New(gvk)
			if err != nil {
				t.Fatal(err)
			}
			obj.GetObjectKind().SetGroupVersionKind(gvk)
			m.samples = append(m.samples, obj)
		}
	}
	m.words = mangle.Words(anys(m.samples)...)
	return m
}

func anys[T any](items []T) (out []any) {
	for _, item := range items {
		out = append(out, item)
	}
	return out
}

// hub defaults and converts as decoding does, nil if it cannot.
func (m *mill) hub(gvk schema.GroupVersionKind, obj runtime.Object) runtime.Object {
	m.env.Scheme.Default(obj)
	hub, err := m.env.Scheme.ConvertToVersion(obj, schema.GroupVersion{Group: gvk.Group, Version: runtime.APIVersionInternal})
	if err != nil {
		return nil
	}
	return hub
}

// calm makes an error of a panic, so that all seeds run and each names its fault.
func calm(t *testing.T, what any) {
	if r := recover(); r != nil {
		text, _ := json.Marshal(what)
		t.Errorf("%v\nby %.2000s\n%s", r, text, debug.Stack())
	}
}

// grind sends an object, as it came over the wire, through its resource.
func (m *mill) grind(gvk schema.GroupVersionKind, obj runtime.Object) {
	r := m.of[gvk]
	bad := m.hub(gvk, obj)
	if r == nil || bad == nil {
		return
	}
	storages, name := m.built[r.GVR()], ""
	if o, ok := bad.(metav1.Object); ok {
		name = o.GetName()
	}
	ctx := m.context(r, bad)
	held := m.shelves[r.GVR().GroupResource()]
	if held != nil && m.original[gvk] != nil {
		old := m.original[gvk].DeepCopyObject()
		stored(old, bad)
		held.held = old
		for sub, st := range storages {
			if u, ok := st.(rest.Updater); ok && (sub == "" || reflect.TypeOf(u.New()) == reflect.TypeOf(bad)) {
				new := bad.DeepCopyObject()
				new.(metav1.Object).SetResourceVersion("1")
				_, _, _ = u.Update(ctx, name, rest.DefaultUpdatedObjectInfo(new), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
			}
		}
		held.held = nil
	}
	if store := registry.StoreOf(storages[""]); store != nil {
		_, _, _ = store.PredicateFunc(labels.Everything(), fields.Everything()).GetAttrs(bad)
	}
	if tables, ok := storages[""].(rest.TableConvertor); ok {
		_, _ = tables.ConvertToTable(ctx, bad, nil)
	}
	if c, ok := storages[""].(rest.Creater); ok {
		fresh := bad.DeepCopyObject()
		if o, ok := fresh.(metav1.Object); ok {
			o.SetResourceVersion("")
		}
		created, err := c.Create(ctx, fresh, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
		if err != nil || held == nil {
			return
		}
		// A valid object may be changed to the original.
		stored(created, bad)
		held.held = created
		if old := m.original[gvk]; old != nil && registry.StoreOf(storages[""]) != nil {
			new := old.DeepCopyObject()
			stored(new, bad)
			_, _, _ = storages[""].(rest.Updater).Update(ctx, name, rest.DefaultUpdatedObjectInfo(new), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
		}
		held.held = nil
	}
}

func (m *mill) context(r *registry.Resource, obj runtime.Object) context.Context {
	namespace := ""
	if o, ok := obj.(metav1.Object); ok && !r.ClusterScoped {
		namespace = o.GetNamespace()
	}
	ctx := request.WithUser(in(namespace, r.GVK.Group), &user.DefaultInfo{Name: "fuzz"})
	return request.WithRequestInfo(ctx, &request.RequestInfo{APIGroup: r.GVK.Group, APIVersion: r.GVK.Version, Resource: r.Plural, Verb: "create", IsResourceRequest: true})
}

// stored gives an object the identity of another.
func stored(obj, like runtime.Object) {
	o, l := obj.(metav1.Object), like.(metav1.Object)
	o.SetName(l.GetName())
	o.SetNamespace(l.GetNamespace())
	o.SetUID(l.GetUID())
	o.SetResourceVersion("1")
}

// TestMangled is FuzzMangled with many choices by chance. Its seed is fixed, so
// what it finds is found again.
func TestMangled(t *testing.T) {
	m, random := newMill(t), rand.New(rand.NewSource(1))
	for _, sample := range m.samples {
		for range 80 {
			m.mangled(t, sample, chance(random))
		}
	}
}

// chance gives choices for one object.
func chance(random *rand.Rand) []byte {
	choices := make([]byte, 4+random.Intn(60))
	random.Read(choices)
	return choices
}

func (m *mill) mangled(t *testing.T, sample runtime.Object, choices []byte) {
	obj := sample.DeepCopyObject()
	gvk := obj.GetObjectKind().GroupVersionKind()
	mangle.Object(obj, choices, m.words)
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	defer calm(t, obj.DeepCopyObject())
	m.grind(gvk, obj)
}

// FuzzMangled edits samples by the bytes.
func FuzzMangled(f *testing.F) {
	m := newMill(f)
	random := rand.New(rand.NewSource(1))
	for i := range m.samples {
		f.Add(uint16(i), chance(random))
	}
	f.Fuzz(func(t *testing.T, which uint16, choices []byte) {
		m.mangled(t, m.samples[int(which)%len(m.samples)], choices)
	})
}

// FuzzSubresources mangles what is not the object itself: scales, bindings,
// evictions, requests for tokens.
func FuzzSubresources(f *testing.F) {
	m := newMill(f)
	type target struct {
		r  *registry.Resource
		st rest.Storage
	}
	var targets []target
	for _, r := range Default() {
		for _, sub := range r.Subresources {
			st := m.built[r.GVR()][sub.Name]
			_, creates := st.(rest.NamedCreater)
			_, updates := st.(rest.Updater)
			if creates || updates && sub.GVK != r.GVK {
				targets = append(targets, target{r, st})
			}
		}
	}
	random := rand.New(rand.NewSource(1))
	for i := range 10 * len(targets) {
		f.Add(uint16(i), chance(random))
	}
	f.Fuzz(func(t *testing.T, which uint16, choices []byte) {
		at := targets[int(which)%len(targets)]
		old := m.original[at.r.GVK].DeepCopyObject()
		old.(metav1.Object).SetResourceVersion("1")
		held := m.shelves[at.r.GVR().GroupResource()]
		held.held = old
		defer func() { held.held = nil }()
		name, ctx := old.(metav1.Object).GetName(), m.context(at.r, old)
		obj := at.st.New()
		if o, ok := obj.(metav1.Object); ok {
			o.SetName(name)
			o.SetNamespace(old.(metav1.Object).GetNamespace())
		}
		mangle.Object(obj, choices, m.words)
		defer calm(t, obj.DeepCopyObject())
		switch st := at.st.(type) {
		case rest.NamedCreater:
			_, _ = st.Create(ctx, name, obj, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
		case rest.Updater:
			_, _, _ = st.Update(ctx, name, rest.DefaultUpdatedObjectInfo(obj), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
		}
	})
}

// FuzzBytes changes samples as they are on the wire, in JSON, YAML and protobuf.
func FuzzBytes(f *testing.F) {
	m := newMill(f)
	seen := map[schema.GroupVersionKind]bool{}
	for _, obj := range m.samples {
		gvk := obj.GetObjectKind().GroupVersionKind()
		if seen[gvk] {
			continue
		}
		seen[gvk] = true
		for _, info := range m.codecs.SupportedMediaTypes() {
			var out bytes.Buffer
			if err := m.codecs.EncoderForVersion(info.Serializer, gvk.GroupVersion()).Encode(obj, &out); err != nil {
				continue // some kinds have no protobuf
			}
			f.Add(out.Bytes())
			f.Add(out.Bytes()[:out.Len()*2/3])
			f.Add(bytes.ReplaceAll(out.Bytes(), []byte("a"), []byte("\xff")))
		}
	}
	for _, text := range awful() {
		f.Add([]byte(text))
	}
	decoder := m.codecs.UniversalDeserializer()
	strict := serializer.NewCodecFactory(m.env.Scheme, serializer.EnableStrict).UniversalDeserializer()
	f.Fuzz(func(t *testing.T, data []byte) {
		defer calm(t, string(data))
		_, _, _ = strict.Decode(data, nil, nil)
		obj, gvk, err := decoder.Decode(data, nil, nil)
		if err != nil {
			return
		}
		m.grind(*gvk, obj)
	})
}

// awful returns documents that are not objects.
func awful() []string {
	pod := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":`
	number, _ := json.Marshal(1e300)
	return []string{
		"", "null", "[]", "0", `"x"`, "{", "---", "--- {}", "\xff\xfe", "k8s\x00", "k8s\x00\x0a\xff\xff\xff\xff\x0f", `{"apiVersion":"v1","kind":"Pod"}`, `{"apiVersion":"v1","kind":"PodList","items":[null,{}]}`,
		pod + "null}", pod + "[]}", pod + `{"containers":null}}`, pod + `{"containers":[null,{}]}}`, pod + `{"activeDeadlineSeconds":` + string(number) + `}}`, pod + `{"activeDeadlineSeconds":99999999999999999999}}`,
		pod + strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2001), pod + strings.Repeat("[", 20000),
		"apiVersion: v1\nkind: Pod\nmetadata: &a\n  labels: *a\n", "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f]\n",
	}
}
