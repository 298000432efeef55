package plan

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"github.com/coracle-k8s/coracle/test/mangle"
)

// Request holds what both servers get. Path, Query and Body may have symbols.
type Request struct {
	Method, Path string
	Query        url.Values `json:",omitempty"`
	ContentType  string     `json:",omitempty"`
	Accept       string     `json:",omitempty"`
	// User and Groups are impersonated, if there is any.
	User   string   `json:",omitempty"`
	Groups []string `json:",omitempty"`
	Agent  string   `json:",omitempty"`
	Body   string   `json:",omitempty"`
	// Generated is the prefix of a name that the servers complete.
	Generated string `json:",omitempty"`
	// Until ends a watch: the symbol of the version of its last event.
	Until string `json:",omitempty"`
	// About names the object that the request is about, for its history.
	About string
	// Lasting is set if other parts of a server take time to see the effect.
	Lasting bool `json:",omitempty"`
	// Settling is set if the effect takes them some seconds, and no object shows it.
	Settling bool `json:",omitempty"`

	target target
}

// target holds the object and the options of a request.
type target struct {
	kind   *Kind
	name   string
	sub    string
	dry    bool
	marked bool // the object was changed to end a watch
}

// Object is one that the servers have, as upstream showed it last.
type Object struct {
	Kind *Kind
	Name string
	Body map[string]any
}

// Config holds what a Generator plans for.
type Config struct {
	Seed uint64
	// Worker is its number of Workers: each has a namespace of its own, and a
	// share of the kinds that have no namespace.
	Worker, Workers int
	Kinds           []*Kind
	Scheme          *runtime.Scheme
}

// Generator plans the requests of one worker.
type Generator struct {
	config    Config
	random    *rand.Rand
	namespace string
	kinds     []*Kind
	objects   map[*Kind][]*Object
	versions  map[*Kind]string // of a list, to watch from
	marks     map[*Kind]string // of the last write that ended a watch
	continues []continued
	queue     []Request
	own       map[string][]definition // by the name of a CustomResourceDefinition
	words     []string
	planned   int // requests, but for queued ones
	decoder   runtime.Decoder
}

// New returns a Generator that has planned nothing yet.
func New(c Config) *Generator {
	g := &Generator{
		config: c, random: rand.New(rand.NewPCG(c.Seed, uint64(c.Worker))), namespace: fmt.Sprintf("w%d", c.Worker),
		objects: map[*Kind][]*Object{}, versions: map[*Kind]string{}, marks: map[*Kind]string{}, own: map[string][]definition{},
		decoder: serializer.NewCodecFactory(c.Scheme).UniversalDeserializer(),
	}
	var samples []any
	cluster := 0
	for _, k := range c.Kinds {
		if !k.Namespaced && !isReview(k) {
			cluster++
			if cluster%c.Workers != c.Worker {
				continue
			}
		}
		if len(k.Samples) == 0 && !isReview(k) && k.Resource != "componentstatuses" && k.Resource != "bindings" {
			continue
		}
		g.kinds = append(g.kinds, k)
		for _, s := range k.Samples {
			if obj, err := runtime.Decode(g.decoder, s.Body); err == nil && !s.Bad {
				samples = append(samples, obj)
			}
		}
	}
	g.words = append(mangle.Words(samples...), g.names(nil)...)
	g.words = slices.DeleteFunc(g.words, func(w string) bool { return len(w) > 300 })
	return g
}

func isReview(k *Kind) bool { return k.Can("create") && !k.Can("get") && k.Resource != "bindings" }

// operation is one sort of request. It returns false if it needs what is not there.
type operation struct {
	weight int
	plan   func(*Generator) (Request, bool)
}

// policyEvery is how many requests a policy lasts.
const policyEvery = 150

func operations() []operation {
	return []operation{
		{26, (*Generator).create}, {14, (*Generator).update}, {14, (*Generator).patch}, {9, (*Generator).apply}, {8, (*Generator).remove}, {1, (*Generator).removeAll},
		{12, (*Generator).subresource}, {5, (*Generator).get}, {7, (*Generator).list}, {2, (*Generator).watch}, {2, (*Generator).review}, {1, (*Generator).define}, {2, (*Generator).grant},
	}
}

// Next plans the next request.
func (g *Generator) Next() Request {
	if len(g.queue) > 0 {
		next := g.queue[0]
		g.queue = g.queue[1:]
		return next
	}
	if g.planned++; g.planned%policyEvery == 0 {
		return g.policy()
	}
	ops, total := operations(), 0
	for _, o := range ops {
		total += o.weight
	}
	for {
		n := g.random.IntN(total)
		for _, o := range ops {
			if n -= o.weight; n < 0 {
				if r, ok := o.plan(g); ok && !g.lingers(r) {
					return g.finish(r)
				}
				break
			}
		}
	}
}

// lingers reports whether a request would give a custom resource a finalizer. Upstream
// deletes a definition with such objects minutes later, and new ones wait for it.
func (g *Generator) lingers(r Request) bool {
	return r.target.kind != nil && r.target.kind.Group == g.group() && holding.MatchString(r.Body+" "+r.Query.Encode())
}

var holding = regexp.MustCompile(`finalizers|Foreground|Orphan|orphanDependents`)

// finish adds what any request may have.
func (g *Generator) finish(r Request) Request {
	if strings.Contains(r.ContentType, "json") || strings.Contains(r.ContentType, "yaml") {
		r.Body = g.allocated(r.Body)
	}
	if r.Method != http.MethodGet && r.Query == nil {
		r.Query = url.Values{}
	}
	if r.Method != http.MethodGet && r.target.sub != "token" && g.chance(8) { // Coracle's gives no token in a dry run
		r.Query.Set("dryRun", g.pick("All", "All", "All", "", "Some"))
		r.target.dry = true
	}
	if !r.target.marked && g.chance(8) {
		r.User, r.Groups = g.pick("u-"+g.namespace, "v-"+g.namespace, "system:serviceaccount:"+g.namespace+":a"), []string{g.pick("g-"+g.namespace, "system:authenticated", "system:serviceaccounts")}
	}
	if r.Agent == "" {
		r.Agent = g.pick("differential", "kubectl/v1.37", "controller")
	}
	if k := r.target.kind; k != nil && k.Resource == "customresourcedefinitions" && r.Method != http.MethodGet {
		r.Settling = true
	}
	r.About = r.target.about()
	return r
}

func (t target) about() string {
	if t.kind == nil {
		return ""
	}
	return t.kind.Path("") + "/" + t.name
}

// Learn takes upstream's answer to a request, with symbols.
func (g *Generator) Learn(r Request, code int, answer any) {
	body, _ := answer.(map[string]any)
	k := r.target.kind
	if k == nil || body == nil || code >= http.StatusBadRequest && code != http.StatusNotFound {
		return
	}
	meta, _ := body["metadata"].(map[string]any)
	version, _ := meta["resourceVersion"].(string)
	switch {
	case code == http.StatusNotFound:
		if r.target.sub == "" && r.Method == http.MethodGet && r.target.name != "" && r.Accept == "" && r.User == "" {
			g.forget(k, r.target.name)
		}
	case r.target.dry || r.Accept != "" && r.Accept != compact:
	case r.target.name == "" && r.Method == http.MethodGet:
		g.listed(r, version, meta)
	case r.Method == http.MethodDelete:
		g.deleted(r, body, meta)
	case body["kind"] == k.Kind:
		name, _ := meta["name"].(string)
		g.keep(k, name, body)
		if k.Resource == "customresourcedefinitions" {
			g.defined(name, body)
		}
		if r.target.marked {
			g.marks[k] = version
			g.watched(k, version)
		}
	}
}

func (g *Generator) deleted(r Request, body, meta map[string]any) {
	if r.target.kind.Resource == "customresourcedefinitions" {
		g.undefined(r.target.name)
	}
	switch {
	case r.target.name == "":
		g.objects[r.target.kind] = nil // a list follows
	case body["kind"] == r.target.kind.Kind && meta["deletionTimestamp"] != nil:
		g.keep(r.target.kind, r.target.name, body)
	default:
		g.forget(r.target.kind, r.target.name)
	}
	if k := r.target.kind; k.Can("get") {
		name, path := r.target.name, k.Path(g.namespace)
		if name != "" {
			path += "/" + name
		}
		g.queue = append(g.queue, Request{Method: http.MethodGet, Path: path, About: r.About, Lasting: r.Lasting, Settling: r.Settling, target: target{kind: k, name: name}})
	}
}

func (g *Generator) keep(k *Kind, name string, body map[string]any) {
	for _, o := range g.objects[k] {
		if o.Name == name {
			o.Body = body
			return
		}
	}
	g.objects[k] = append(g.objects[k], &Object{Kind: k, Name: name, Body: body})
}

func (g *Generator) forget(k *Kind, name string) {
	g.objects[k] = slices.DeleteFunc(g.objects[k], func(o *Object) bool { return o.Name == name })
	if k.Resource == "customresourcedefinitions" {
		g.undefined(name)
	}
}

// Refresh returns the request that shows what became of the object of r.
func (g *Generator) Refresh(r Request) (Request, bool) {
	k := r.target.kind
	if k == nil || r.target.name == "" || !k.Can("get") {
		return Request{}, false
	}
	return Request{Method: http.MethodGet, Path: k.Path(g.namespace) + "/" + r.target.name, About: r.About, Lasting: true, Settling: r.Settling, target: target{kind: k, name: r.target.name}}, true
}

func (g *Generator) chance(oneIn int) bool { return g.random.IntN(oneIn) == 0 }

func (g *Generator) pick(from ...string) string { return from[g.random.IntN(len(from))] }

// kind returns one that can do verb.
func (g *Generator) kind(verb string) *Kind {
	for range 20 {
		if k := g.kinds[g.random.IntN(len(g.kinds))]; k.Can(verb) && !isReview(k) {
			return k
		}
	}
	return nil
}

// object returns one that is there, of a kind that can do verb.
func (g *Generator) object(verb string) *Object {
	for range 20 {
		k := g.kind(verb)
		if k == nil {
			return nil
		}
		if some := g.objects[k]; len(some) > 0 {
			return some[g.random.IntN(len(some))]
		}
	}
	return nil
}

func encode(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // it was decoded from JSON, or is an API object
	}
	return string(data)
}

// metadata returns the metadata of an object, nil if it has none that is an object.
func metadata(body map[string]any) map[string]any {
	meta, _ := body["metadata"].(map[string]any)
	return meta
}

// clone copies an object; numbers become those that JSON has.
func clone(body map[string]any) map[string]any {
	out := map[string]any{}
	if err := json.Unmarshal([]byte(encode(body)), &out); err != nil {
		panic(err) // it is JSON
	}
	return out
}

// Begin returns the request that makes the worker's namespace.
func (g *Generator) Begin() Request {
	return Request{Method: http.MethodPost, Path: "/api/v1/namespaces", ContentType: "application/json", Body: fmt.Sprintf(`{"metadata":{"name":%q}}`, g.namespace)}
}

// Heal returns the requests that remove the object of r, which is forgotten. If r names
// none, made are the names that it got.
func (g *Generator) Heal(r Request, made []string) []Request {
	k := r.target.kind
	if k == nil || !k.Can("delete") {
		return nil
	}
	if r.target.name != "" {
		made = []string{r.target.name}
	}
	var requests []Request
	for _, name := range made {
		g.forget(k, name)
		path := k.Path(g.namespace) + "/" + name
		requests = append(requests,
			Request{Method: http.MethodDelete, Path: path, ContentType: "application/json", Body: `{"gracePeriodSeconds":0,"propagationPolicy":"Background"}`},
			// Of one that has no finalizers nothing is left to patch: policies would change it.
			Request{Method: http.MethodPatch, Path: path, ContentType: "application/merge-patch+json", Body: `{"metadata":{"finalizers":null}}`})
	}
	return requests
}
