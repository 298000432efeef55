package controlplane

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/test/env"
	"github.com/coracle-k8s/coracle/test/mangle"
)

// badName begins the names of everything that must never be stored.
const badName = "bad"

// served is a resource from discovery.
type served struct {
	metav1.APIResource
	gv schema.GroupVersion
}

// path returns the path of the resource, in namespace default where it has one.
func (s served) path() string {
	prefix := "/apis/" + s.gv.String()
	if s.gv.Group == "" {
		prefix = "/api/" + s.gv.Version
	}
	if s.Namespaced {
		prefix += "/namespaces/default"
	}
	return prefix + "/" + s.Name
}

func (s served) has(verb string) bool {
	for _, v := range s.Verbs {
		if v == verb {
			return true
		}
	}
	return false
}

// body returns an object of the kind with more fields.
func (s served) body(metadata, more string) string {
	return fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{%s}%s}`, s.gv.String(), s.Kind, metadata, more)
}

// verdict is the server's answer.
type verdict struct {
	code int
	text string
}

// caller sends raw requests.
type caller struct {
	web *http.Client
	url string
}

func (c caller) send(ctx context.Context, method, path, contentType, body string) verdict {
	GinkgoHelper()
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader([]byte(body)))
	Expect(err).NotTo(HaveOccurred())
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	response, err := c.web.Do(r)
	if err != nil { // a handler that panics closes its stream
		return verdict{http.StatusInternalServerError, err.Error()}
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	return verdict{response.StatusCode, string(data)}
}

// refusal is a request and how it must be answered.
type refusal struct {
	name, method, path, contentType, body string
	codes                                 []int
	says                                  string
}

const (
	inJSON     = "application/json"
	inYAML     = "application/yaml"
	inProtobuf = "application/vnd.kubernetes.protobuf"
)

// badBodies returns creates that no resource takes.
func badBodies(s served) []refusal {
	named := `"name":"bad"`
	anchors := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'j'; c++ {
		anchors += fmt.Sprintf("%[1]c: &%[1]c [*%[2]c,*%[2]c,*%[2]c,*%[2]c,*%[2]c,*%[2]c,*%[2]c,*%[2]c,*%[2]c]\n", c, c-1)
	}
	bad := []refusal{
		{name: "a field of another type", body: s.body(`"name":5`, ""), codes: []int{400}, says: "metadata.name"},
		{name: "a list for an object", body: s.body(named+`,"labels":["a"]`, ""), codes: []int{400}, says: "metadata.labels"},
		{name: "an unknown field", path: "?fieldValidation=Strict", body: s.body(named+`,"nosuch":1`, `,"neither":2`), codes: []int{400}, says: `unknown field \"metadata.nosuch\"`},
		{name: "a field twice", path: "?fieldValidation=Strict", body: s.body(named+`,"name":"bad"`, ""), codes: []int{400}, says: `duplicate field \"metadata.name\"`},
		{name: "an unknown way to check fields", path: "?fieldValidation=Maybe", body: s.body(named, ""), codes: []int{422}, says: "fieldValidation"},
		{name: "an unknown dry run", path: "?dryRun=Some", body: s.body(named, ""), codes: []int{422}, says: "dryRun"},
		{name: "too much", body: s.body(named+`,"annotations":{"a":"`+strings.Repeat("x", 3<<20)+`"}`, ""), codes: []int{413}},
		{name: "nothing", body: "", codes: []int{400}},
		{name: "an array", body: "[]", codes: []int{400}},
		{name: "half an object", body: `{"apiVersion":`, codes: []int{400}},
		{name: "truncated protobuf", contentType: inProtobuf, body: "k8s\x00\x0a\xff\xff\xff\xff\x0f", codes: []int{400}},
		{name: "protobuf without its magic", contentType: inProtobuf, body: "\x0a\x02", codes: []int{400}},
		{name: "deep arrays", body: s.body(named, `,"spec":`+strings.Repeat("[", 100000)), codes: []int{400}},
		{name: "deep objects", body: s.body(named, `,"x":`+strings.Repeat(`{"a":`, 50000)+"1"+strings.Repeat("}", 50000)), codes: []int{400}},
		{name: "anchors of anchors", contentType: inYAML, body: anchors, codes: []int{400}},
		{name: "an anchor in itself", contentType: inYAML, body: "apiVersion: v1\nmetadata: &a {labels: *a}\n", codes: []int{400}},
		{name: "deep YAML", contentType: inYAML, body: "a: " + strings.Repeat("[", 50000), codes: []int{400}},
		{name: "a huge number", body: s.body(named+`,"generation":1e999`, ""), codes: []int{400}},
		{name: "a number beyond 64 bits", body: s.body(named+`,"deletionGracePeriodSeconds":99999999999999999999`, ""), codes: []int{400}},
		{name: "another content type", contentType: "text/html", body: s.body(named, ""), codes: []int{415}},
		{name: "another kind", body: `{"apiVersion":"` + s.gv.String() + `","kind":"Boat","metadata":{"name":"bad"}}`, codes: []int{400}},
		{name: "another version", body: `{"apiVersion":"boats/v1","kind":"` + s.Kind + `","metadata":{"name":"bad"}}`, codes: []int{400}},
	}
	if s.Namespaced {
		bad = append(bad, refusal{name: "another namespace", body: s.body(named+`,"namespace":"elsewhere"`, ""), codes: []int{400}, says: "does not match"})
	}
	if s.has("get") {
		bad = append(bad,
			refusal{name: "a name that is none", body: s.body(`"name":"bad/../name"`, ""), codes: []int{422}},
			refusal{name: "a label that is none", body: s.body(named+`,"labels":{"a b":"c"}`, ""), codes: []int{422}, says: "metadata.labels"},
			refusal{name: "invalid UTF-8", body: s.body(named+",\"labels\":{\"a\":\"\xff\xfe\"}", ""), codes: []int{400, 422}},
			refusal{name: "a version of what is new", body: s.body(named+`,"resourceVersion":"7"`, ""), codes: []int{400, 422}})
	}
	for i := range bad {
		bad[i].method = http.MethodPost
		if bad[i].contentType == "" {
			bad[i].contentType = inJSON
		}
	}
	return bad
}

// badRequests returns requests about objects that are there or not.
func badRequests(s served) (bad []refusal) {
	add := func(verb, method, path, contentType, body string, codes ...int) {
		if s.has(verb) {
			bad = append(bad, refusal{name: method + " " + path, method: method, path: path, contentType: contentType, body: body, codes: codes})
		}
	}
	for _, query := range []string{"labelSelector=a+in+(", "labelSelector=%3D%3D", "fieldSelector=spec.nosuch%3D1", "fieldSelector=%3D%3D%3D", "limit=many", "continue=nonsense", "timeoutSeconds=soon",
		"resourceVersion=abc", "resourceVersionMatch=Exact", "resourceVersion=1&resourceVersionMatch=Never", "continue=e30&resourceVersion=1"} {
		if s.Name != "componentstatuses" { // which are not stored
			add("list", http.MethodGet, "?"+query, "", "", 400, 422)
		}
	}
	for _, query := range []string{"resourceVersion=abc", "resourceVersion=-1", "fieldSelector=spec.nosuch%3D1", "labelSelector=a+in+(", "sendInitialEvents=true", "sendInitialEvents=perhaps", "resourceVersionMatch=Exact"} {
		add("watch", http.MethodGet, "?watch=true&timeoutSeconds=1&"+query, "", "", 400, 422, 403)
	}
	for _, query := range []string{"labelSelector=a+in+(", "fieldSelector=spec.nosuch%3D1", "propagationPolicy=Sideways", "gracePeriodSeconds=soon", "dryRun=Some"} {
		add("deletecollection", http.MethodDelete, "?"+query, inJSON, "", 400, 422)
	}
	add("delete", http.MethodDelete, "/bad", inJSON, "[]", 400)
	add("delete", http.MethodDelete, "/bad", inJSON, `{"kind":"Boat","apiVersion":"v1"}`, 400)
	add("delete", http.MethodDelete, "/bad", inJSON, `{"propagationPolicy":"Sideways"}`, 422)
	add("delete", http.MethodDelete, "/bad", inJSON, `{"orphanDependents":true,"propagationPolicy":"Orphan"}`, 422)
	add("update", http.MethodPut, "/bad", inJSON, s.body(`"name":"other"`, ""), 400)
	add("update", http.MethodPut, "/bad", inJSON, "", 400)
	add("update", http.MethodPut, "/bad", inJSON, s.body(`"name":"bad","resourceVersion":"abc"`, ""), 400, 404, 409, 422)
	for _, patch := range []struct{ kind, body string }{{"json-patch", "{}"}, {"json-patch", `[{"op":"fly"}]`}, {"merge-patch", "[]"}, {"strategic-merge-patch", "[]"}, {"strategic-merge-patch", `{"$patch":"nosuch"}`}} {
		add("patch", http.MethodPatch, "/bad", "application/"+patch.kind+"+json", patch.body, 400, 404, 415, 422)
	}
	apply := "application/apply-patch+yaml"
	add("patch", http.MethodPatch, "/bad", apply, s.body(`"name":"bad"`, ""), 400, 422) // without a field manager
	add("patch", http.MethodPatch, "/bad?fieldManager=me", apply, "[]", 400)
	add("patch", http.MethodPatch, "/bad?fieldManager=me", apply, "{", 400)
	add("patch", http.MethodPatch, "/bad?fieldManager=me", apply, `{"apiVersion":"boats/v1","kind":"Boat","metadata":{"name":"bad"}}`, 400)
	add("patch", http.MethodPatch, "/bad?fieldManager=me", apply, s.body(`"name":"other"`, ""), 400)
	add("patch", http.MethodPatch, "/bad?fieldManager=me", apply, s.body(`"name":"bad","managedFields":[{"manager":"me","operation":"Apply"}]`, ""), 400)
	add("patch", http.MethodPatch, "/bad?fieldManager=me", apply, s.body(`"name":"bad","labels":{"a b":"c"}`, ""), 422, 400)
	add("patch", http.MethodPatch, "/bad?fieldManager=me", "application/boat", "{}", 415)
	return bad
}

var _ = Describe("bad input", Ordered, ContinueOnFailure, func() {
	var w world
	var c caller
	var resources []served

	BeforeAll(func() {
		w = begin(env.WithNodes(0))
		config := w.TLSConfig(GinkgoTB())
		config.QPS = -1
		web, err := rest.HTTPClientFor(config)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(web.CloseIdleConnections)
		c = caller{web, w.Cluster.URL()}
		client, err := discovery.NewDiscoveryClientForConfigAndClient(config, web)
		Expect(err).NotTo(HaveOccurred())
		_, lists, err := client.ServerGroupsAndResources()
		Expect(err).NotTo(HaveOccurred())
		for _, list := range lists {
			gv, err := schema.ParseGroupVersion(list.GroupVersion)
			Expect(err).NotTo(HaveOccurred())
			for _, r := range list.APIResources {
				if !strings.Contains(r.Name, "/") {
					resources = append(resources, served{r, gv})
				}
			}
		}
		Expect(len(resources)).To(BeNumerically(">", 60))
	})

	// nothingBad finds no object that should not have been stored.
	nothingBad := func(ctx SpecContext) {
		GinkgoHelper()
		for _, s := range resources {
			if !s.has("list") {
				continue
			}
			var list metav1.PartialObjectMetadataList
			Expect(json.Unmarshal([]byte(c.send(ctx, http.MethodGet, s.path(), "", "").text), &list)).To(Succeed())
			for _, item := range list.Items {
				Expect(item.Name).NotTo(HavePrefix(badName), s.path())
			}
		}
	}

	It("is refused by every resource, with its place", func(ctx SpecContext) {
		var faults []string
		for _, s := range resources {
			refusals := badRequests(s)
			if s.has("create") {
				refusals = append(refusals, badBodies(s)...)
			}
			for _, r := range refusals {
				got := c.send(ctx, r.method, s.path()+r.path, r.contentType, r.body)
				if ok, _ := ContainElement(got.code).Match(r.codes); !ok || !strings.Contains(got.text, r.says) {
					faults = append(faults, fmt.Sprintf("%s: %s: want %v %q, got %d %.400s", s.path(), r.name, r.codes, r.says, got.code, got.text))
				}
			}
		}
		Expect(faults).To(BeEmpty(), strings.Join(faults, "\n"))
		nothingBad(ctx)
	}, SpecTimeout(2*time.Minute))

	It("never breaks the server, however an object is mangled", func(ctx SpecContext) {
		codecs := serializer.NewCodecFactory(apis.NewScheme())
		input, err := os.ReadFile(repository("apiserver", "registry", "all", "testdata", "objects.yaml"))
		Expect(err).NotTo(HaveOccurred())
		protobuf, _ := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), inProtobuf)
		random := rand.New(rand.NewSource(1))
		var faults []string
		for _, doc := range strings.Split(string(input), "\n---\n") {
			sample, gvk, err := codecs.UniversalDeserializer().Decode([]byte(doc), nil, nil)
			Expect(err).NotTo(HaveOccurred())
			s := resourceOf(resources, *gvk)
			if s == nil || !s.has("create") {
				continue
			}
			name := "mangled"
			sample.(metav1.Object).SetName(name)
			if s.Namespaced {
				sample.(metav1.Object).SetNamespace("default")
			}
			if good, err := json.Marshal(sample); err == nil && !dangerous(gvk.Group) {
				c.send(ctx, http.MethodPost, s.path(), inJSON, string(good))
			}
			words := mangle.Words(sample)
			for range mangled() {
				obj, choices := sample.DeepCopyObject(), make([]byte, 4+random.Intn(60))
				random.Read(choices)
				mangle.Object(obj, choices, words)
				contentType, body := inJSON, []byte(nil)
				if random.Intn(2) == 0 {
					contentType = inProtobuf
					body, err = runtime.Encode(codecs.EncoderForVersion(protobuf.Serializer, gvk.GroupVersion()), obj)
				} else {
					obj.GetObjectKind().SetGroupVersionKind(*gvk)
					body, err = json.Marshal(obj)
				}
				if err != nil {
					continue // it cannot be encoded
				}
				for _, r := range []refusal{{method: http.MethodPost}, {method: http.MethodPut, path: "/" + name}, {method: http.MethodPut, path: "/" + name + "/status"}} {
					got := c.send(ctx, r.method, s.path()+r.path+"?dryRun=All", contentType, string(body))
					if got.code >= 500 {
						faults = append(faults, fmt.Sprintf("%s %s: %d %.600s\nfor %.1500q", r.method, s.path()+r.path, got.code, got.text, body))
					}
				}
			}
		}
		Expect(faults).To(BeEmpty(), strings.Join(faults, "\n"))
	}, SpecTimeout(2*time.Minute))
})

// mangled returns the number of bad objects made of each sample.
func mangled() int { return 12 }

// dangerous groups change what happens to the other requests.
func dangerous(group string) bool {
	switch group {
	case "admissionregistration.k8s.io", "apiregistration.k8s.io", "flowcontrol.apiserver.k8s.io":
		return true
	}
	return false
}

func resourceOf(resources []served, gvk schema.GroupVersionKind) *served {
	for i, s := range resources {
		if s.gv.WithKind(s.Kind) == gvk {
			return &resources[i]
		}
	}
	return nil
}
