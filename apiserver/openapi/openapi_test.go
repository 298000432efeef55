package openapi

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	openapi_v3 "github.com/google/gnostic-models/openapiv3"
	. "github.com/onsi/gomega"
	"google.golang.org/protobuf/proto"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/server/mux"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"

	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/all"
)

func get(t *testing.T, path, accept string) *http.Response {
	t.Helper()
	m := mux.NewPathRecorderMux("test")
	New(nil).Install(m)
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w.Result()
}

// shown returns the resources that clients see by default.
func shown() []*registry.Resource {
	return slices.DeleteFunc(all.Default(), func(r *registry.Resource) bool { return r.Hidden })
}

func TestEveryKindServedHasASchema(t *testing.T) {
	c := New(nil).TypeConverter()
	for _, r := range shown() {
		kinds := []schema.GroupVersionKind{r.GVK}
		for _, sub := range r.Subresources {
			if !strings.HasSuffix(sub.GVK.Kind, "Options") {
				kinds = append(kinds, sub.GVK)
			}
		}
		for _, gvk := range kinds {
			if _, err := c.kind(gvk); err != nil {
				t.Errorf("%v: run make generate", err)
			}
		}
	}
}

func TestConverterKnowsListKeys(t *testing.T) {
	g := NewWithT(t)
	c := New(nil).TypeConverter()
	container := func(name, image string) *appsv1.Deployment {
		d := &appsv1.Deployment{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}}
		d.Spec.Template.Spec.Containers = []corev1.Container{{Name: name, Image: image}}
		return d
	}
	a, err := c.ObjectToTyped(container("a", "x"))
	g.Expect(err).NotTo(HaveOccurred())
	b, err := c.ObjectToTyped(container("b", "y"))
	g.Expect(err).NotTo(HaveOccurred())
	merged, err := a.Merge(b)
	g.Expect(err).NotTo(HaveOccurred())
	obj, err := c.TypedToObject(merged)
	g.Expect(err).NotTo(HaveOccurred())
	containers, _, err := unstructured.NestedSlice(obj.(*unstructured.Unstructured).Object, "spec", "template", "spec", "containers")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(containers).To(HaveLen(2), "containers are merged by name")
}

func TestTypesSurviveTheirEncoding(t *testing.T) {
	g := NewWithT(t)
	text, named, nullable := smd.Scalar("string"), "other", smd.Associative
	types := []smd.TypeDef{
		{Name: "other", Atom: smd.Atom{Scalar: &text}},
		{Name: "root", Atom: smd.Atom{Map: &smd.Map{ElementRelationship: smd.Separable, ElementType: smd.TypeRef{NamedType: &named}, Fields: []smd.StructField{
			{Name: "list", Default: "x", Type: smd.TypeRef{ElementRelationship: &nullable, Inlined: smd.Atom{List: &smd.List{
				ElementType: smd.TypeRef{NamedType: &named, Nullable: true}, ElementRelationship: smd.Associative, Keys: []string{"name"}}}}},
		}}}},
	}
	gvk := schema.GroupVersionKind{Group: "g", Version: "v", Kind: "K"}
	data, err := EncodeTypes(map[schema.GroupVersionKind]string{gvk: "root"}, types)
	g.Expect(err).NotTo(HaveOccurred())
	got, err := newTypeConverter(string(data)).kind(gvk)
	g.Expect(err).NotTo(HaveOccurred())
	root, _ := got.Schema.FindNamedType("root")
	g.Expect(root.Map.Fields).To(Equal(types[1].Map.Fields))
	g.Expect(root.Map.ElementType).To(Equal(types[1].Map.ElementType))
	_, err = newTypeConverter(string(data)).kind(schema.GroupVersionKind{Kind: "None"})
	g.Expect(err).To(MatchError(ContainSubstring("no merge schema")))
}

func TestIndexLeadsToDocuments(t *testing.T) {
	g := NewWithT(t)
	var index struct {
		Paths map[string]struct {
			URL string `json:"serverRelativeURL"`
		} `json:"paths"`
	}
	response := get(t, "/openapi/v3", "application/json")
	g.Expect(json.NewDecoder(response.Body).Decode(&index)).To(Succeed())
	for _, r := range shown() {
		path := "apis/" + r.GVK.GroupVersion().String()
		if r.GVK.Group == "" {
			path = "api/" + r.GVK.Version
		}
		g.Expect(index.Paths).To(HaveKey(path), "run make generate")
	}
	response = get(t, index.Paths["apis/apps/v1"].URL, "application/json")
	g.Expect(response.StatusCode).To(Equal(http.StatusOK))
	g.Expect(response.Header.Get("Cache-Control")).To(ContainSubstring("immutable"))
	body, err := io.ReadAll(response.Body)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(body)).To(ContainSubstring("/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"))
	g.Expect(string(body)).NotTo(ContainSubstring("__internal"))
}

// TestOperations checks that each subresource has a path, that verbs which are not
// served have none, and that each operation requires authentication.
func TestOperations(t *testing.T) {
	g := NewWithT(t)
	var doc struct {
		Paths    map[string]map[string]json.RawMessage `json:"paths"`
		Security []map[string][]string                 `json:"security"`
	}
	g.Expect(json.NewDecoder(get(t, "/openapi/v2", "application/json").Body).Decode(&doc)).To(Succeed())
	for _, r := range shown() {
		for _, sub := range r.Subresources {
			path := "/" + r.Plural + "/{name}/" + sub.Name
			g.Expect(slices.ContainsFunc(slices.Collect(maps.Keys(doc.Paths)), func(p string) bool { return strings.HasSuffix(p, path) })).To(BeTrue(), "%s: run make generate", path)
		}
	}
	g.Expect(doc.Paths).To(HaveKey("/version/"))
	g.Expect(doc.Paths["/api/v1/namespaces"]).NotTo(HaveKey("delete"))
	g.Expect(string(doc.Paths["/api/v1/pods"]["get"])).To(ContainSubstring(`"401"`))
	g.Expect(doc.Security).To(HaveLen(1))
}

func TestProtobufForThoseWhoAsk(t *testing.T) {
	g := NewWithT(t)
	for path, into := range map[string]proto.Message{"/openapi/v2": &openapi_v2.Document{}, "/openapi/v3/api/v1": &openapi_v3.Document{}} {
		media := mediaV2
		if strings.Contains(path, "v3") {
			media = mediaV3
		}
		response := get(t, path, media)
		g.Expect(response.Header.Get("Content-Type")).To(Equal(strings.Replace(media, "@", ".", 1)))
		body, err := io.ReadAll(response.Body)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(proto.Unmarshal(body, into)).To(Succeed())
	}
	g.Expect(get(t, "/openapi/v2", "text/html").StatusCode).To(Equal(http.StatusNotAcceptable))
	g.Expect(get(t, "/openapi/v3/apis/none/v1", "*/*").StatusCode).To(Equal(http.StatusNotFound))
	g.Expect(get(t, "/openapi/v3/api/v1?hash=old", "*/*").StatusCode).To(Equal(http.StatusMovedPermanently))
}
