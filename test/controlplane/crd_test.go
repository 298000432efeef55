package controlplane

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/test/env"
)

const boatSchema = `{
  "type": "object",
  "properties": {
    "spec": {
      "type": "object", "required": ["hull"],
      "properties": {
        "hull": {"type": "string", "description": "What it is made of.", "enum": ["willow", "hide"]},
        "oars": {"type": "integer", "default": 2, "minimum": 0},
        "crew": {"type": "integer"},
        "name": {"type": "string", "maxLength": 10},
        "cargo": {"type": "array", "maxItems": 20, "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "weight": {"type": "integer"}}},
          "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
      },
      "x-kubernetes-validations": [{"rule": "!has(self.crew) || self.crew <= self.oars", "message": "one oar each"}]
    },
    "status": {"type": "object", "properties": {"afloat": {"type": "boolean"}, "crew": {"type": "integer"}, "selector": {"type": "string"}}}
  }
}`

// boats returns a definition that uses most of what there is.
func boats(group string, change func(*apiextensionsv1.CustomResourceDefinition)) *apiextensionsv1.CustomResourceDefinition {
	GinkgoHelper()
	props := &apiextensionsv1.JSONSchemaProps{}
	Expect(json.Unmarshal([]byte(boatSchema), props)).To(Succeed())
	selector := ".status.selector"
	crd := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "boats." + group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "boats", Singular: "boat", Kind: "Boat", ListKind: "BoatList", ShortNames: []string{"bt"}, Categories: []string{"all"}},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: props},
				Subresources: &apiextensionsv1.CustomResourceSubresources{
					Status: &apiextensionsv1.CustomResourceSubresourceStatus{},
					Scale:  &apiextensionsv1.CustomResourceSubresourceScale{SpecReplicasPath: ".spec.crew", StatusReplicasPath: ".status.crew", LabelSelectorPath: &selector},
				},
				AdditionalPrinterColumns: []apiextensionsv1.CustomResourceColumnDefinition{{Name: "Hull", Type: "string", JSONPath: ".spec.hull"}, {Name: "Oars", Type: "integer", JSONPath: ".spec.oars", Priority: 1}},
				SelectableFields:         []apiextensionsv1.SelectableField{{JSONPath: ".spec.hull"}},
			}},
		},
	}
	if change != nil {
		change(crd)
	}
	return crd
}

func boat(group, version, name string, spec map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	u.SetAPIVersion(group + "/" + version)
	u.SetKind("Boat")
	u.SetNamespace("default")
	u.SetName(name)
	return u
}

// definitions returns a client that also has CustomResourceDefinitions.
func (w world) definitions() client.WithWatch {
	GinkgoHelper()
	scheme := runtime.NewScheme()
	Expect(apiextensionsv1.AddToScheme(scheme)).To(Succeed())
	c, err := client.NewWithWatch(w.Config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

func (w world) dynamic(gvr schema.GroupVersionResource) dynamic.NamespaceableResourceInterface {
	GinkgoHelper()
	c, err := dynamic.NewForConfig(w.Config)
	Expect(err).NotTo(HaveOccurred())
	return c.Resource(gvr)
}

func established(ctx context.Context, c client.Client, name string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		g.Expect(c.Get(ctx, client.ObjectKey{Name: name}, crd)).To(Succeed())
		g.Expect(crd.Status.Conditions).To(ContainElement(And(
			HaveField("Type", apiextensionsv1.Established), HaveField("Status", apiextensionsv1.ConditionTrue))))
	}).Should(Succeed())
}

var _ = Describe("custom resources", Ordered, func() {
	var w world
	var crds client.WithWatch
	const group = "example.com"
	gvr := schema.GroupVersionResource{Group: group, Version: "v1", Resource: "boats"}

	BeforeAll(func(ctx SpecContext) {
		w = begin()
		crds = w.definitions()
		list := &apiextensionsv1.CustomResourceDefinitionList{}
		Expect(crds.List(ctx, list)).To(Succeed())
		Expect(list.Items).To(BeEmpty(), "a list is right before there is anything")
	})

	It("answer as a path that is not there while nothing defines them", func(ctx SpecContext) {
		d, err := discovery.NewDiscoveryClientForConfig(w.Config)
		Expect(err).NotTo(HaveOccurred())
		body, err := d.RESTClient().Get().AbsPath("/apis/" + group + "/v1/namespaces/default/boats").DoRaw(ctx)
		Expect(apierrors.IsNotFound(err)).To(BeTrue())
		Expect(string(body)).To(Equal("404 page not found\n"))
	})

	It("can be used the moment their definition is accepted", func(ctx SpecContext) {
		began := time.Now()
		Expect(crds.Create(ctx, boats(group, nil))).To(Succeed())
		// Nothing waits in between.
		_, err := w.dynamic(gvr).Namespace("default").Create(ctx, boat(group, "v1", "first", map[string]any{"hull": "willow"}), metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		AddReportEntry("from definition to object", time.Since(began).String())
		established(ctx, crds, "boats."+group)
		Expect(w.ok("api-resources", "--api-group", group)).To(ContainSubstring("bt"))
		Expect(w.ok("get", "all")).To(ContainSubstring("boat.example.com/first"), "the category")
	})

	It("defaults, prunes and validates", func(ctx SpecContext) {
		c := w.dynamic(gvr).Namespace("default")
		got, err := c.Create(ctx, boat(group, "v1", "second", map[string]any{"hull": "hide", "sail": "none"}), metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(got.Object["spec"]).To(Equal(map[string]any{"hull": "hide", "oars": int64(2)}))
		_, err = c.Create(ctx, boat(group, "v1", "bad", map[string]any{"hull": "steel"}), metav1.CreateOptions{})
		Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
		Expect(err).To(MatchError(ContainSubstring(`spec.hull: Unsupported value: "steel"`)))
		_, err = c.Create(ctx, boat(group, "v1", "bad", map[string]any{"hull": "hide", "crew": int64(3)}), metav1.CreateOptions{})
		Expect(err).To(MatchError(ContainSubstring("one oar each")), "the CEL rule")
		_, err = c.Create(ctx, boat(group, "v1", "bad", map[string]any{"hull": "hide", "sail": "none"}), metav1.CreateOptions{FieldValidation: "Strict"})
		Expect(err).To(MatchError(ContainSubstring(`unknown field "spec.sail"`)))
	})

	It("keeps what was valid when it is not touched", func(ctx SpecContext) {
		c := w.dynamic(gvr).Namespace("default")
		_, err := c.Create(ctx, boat(group, "v1", "long", map[string]any{"hull": "hide", "name": "abcdefghij"}), metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		crd := &apiextensionsv1.CustomResourceDefinition{}
		Expect(crds.Get(ctx, client.ObjectKey{Name: "boats." + group}, crd)).To(Succeed())
		shorter := int64(5)
		spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
		name := spec.Properties["name"]
		name.MaxLength = &shorter
		spec.Properties["name"] = name
		Expect(crds.Update(ctx, crd)).To(Succeed())
		_, err = c.Patch(ctx, "long", types.MergePatchType, []byte(`{"spec":{"oars":4}}`), metav1.PatchOptions{})
		Expect(err).NotTo(HaveOccurred(), "ratcheting")
		_, err = c.Patch(ctx, "long", types.MergePatchType, []byte(`{"spec":{"name":"klmnopqrst"}}`), metav1.PatchOptions{})
		Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
	})

	It("has status and scale, columns and selectable fields", func(ctx SpecContext) {
		c := w.dynamic(gvr).Namespace("default")
		_, err := c.Patch(ctx, "first", types.MergePatchType, []byte(`{"status":{"afloat":true,"selector":"a=b"},"spec":{"oars":6}}`), metav1.PatchOptions{}, "status")
		Expect(err).NotTo(HaveOccurred())
		got, err := c.Get(ctx, "first", metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(got.Object["status"]).To(HaveKeyWithValue("afloat", true))
		Expect(got.Object["spec"]).To(HaveKeyWithValue("oars", int64(2)), "status does not change the spec")
		w.ok("scale", "boat/first", "--replicas", "1")
		scale, err := c.Get(ctx, "first", metav1.GetOptions{}, "scale")
		Expect(err).NotTo(HaveOccurred())
		Expect(scale.GetKind()).To(Equal("Scale"))
		Expect(scale.Object["spec"]).To(HaveKeyWithValue("replicas", int64(1)))
		Expect(w.ok("get", "bt", "first", "-o", "wide")).To(MatchRegexp(`NAME\s+HULL\s+OARS\s*\nfirst\s+willow\s+2`))
		Expect(w.ok("get", "boats", "--field-selector", "spec.hull=willow", "-o", "name")).To(Equal("boat.example.com/first\n"))
	})

	It("merges server-side by its schema", func(ctx SpecContext) {
		c := w.dynamic(gvr).Namespace("default")
		for manager, item := range map[string]string{"a": "wool", "b": "salt"} {
			u := boat(group, "v1", "applied", map[string]any{"hull": "hide", "cargo": []any{map[string]any{"name": item}}})
			_, err := c.Apply(ctx, "applied", u, metav1.ApplyOptions{FieldManager: manager})
			Expect(err).NotTo(HaveOccurred())
		}
		got, err := c.Get(ctx, "applied", metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		cargo, _, err := unstructured.NestedSlice(got.Object, "spec", "cargo")
		Expect(err).NotTo(HaveOccurred())
		Expect(cargo).To(HaveLen(2), "a list by key")
	})

	It("is described", func(ctx SpecContext) {
		Expect(w.ok("explain", "boat.spec.hull")).To(ContainSubstring("What it is made of."))
		d, err := discovery.NewDiscoveryClientForConfig(w.Config)
		Expect(err).NotTo(HaveOccurred())
		doc, err := d.OpenAPISchema()
		Expect(err).NotTo(HaveOccurred())
		var names []string
		for _, definition := range doc.GetDefinitions().GetAdditionalProperties() {
			names = append(names, definition.GetName())
		}
		Expect(names).To(ContainElements("com.example.v1.Boat", "com.example.v1.BoatList", "io.k8s.api.core.v1.Pod"))
		groups, err := d.ServerGroups()
		Expect(err).NotTo(HaveOccurred())
		Expect(groups.Groups).To(ContainElement(HaveField("Name", group)))
	})

	It("is watched and deleted by the collection", func(ctx SpecContext) {
		c := w.dynamic(gvr).Namespace("default")
		watch, err := c.Watch(ctx, metav1.ListOptions{LabelSelector: "watched=yes"})
		Expect(err).NotTo(HaveOccurred())
		defer watch.Stop()
		for i := range 3 {
			u := boat(group, "v1", fmt.Sprintf("watched-%d", i), map[string]any{"hull": "hide"})
			u.SetLabels(map[string]string{"watched": "yes"})
			_, err := c.Create(ctx, u, metav1.CreateOptions{})
			Expect(err).NotTo(HaveOccurred())
			Expect((<-watch.ResultChan()).Object.(*unstructured.Unstructured).GetName()).To(Equal(u.GetName()))
		}
		Expect(c.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "watched=yes"})).To(Succeed())
		list, err := c.List(ctx, metav1.ListOptions{LabelSelector: "watched=yes"})
		Expect(err).NotTo(HaveOccurred())
		Expect(list.Items).To(BeEmpty())
	})

	It("is collected with its owner, and goes with its namespace", func(ctx SpecContext) {
		c := w.dynamic(gvr)
		owner, err := c.Namespace("default").Create(ctx, boat(group, "v1", "owner", map[string]any{"hull": "hide"}), metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		owned := boat(group, "v1", "owned", map[string]any{"hull": "hide"})
		owned.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: group + "/v1", Kind: "Boat", Name: "owner", UID: owner.GetUID()}})
		_, err = c.Namespace("default").Create(ctx, owned, metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(c.Namespace("default").Delete(ctx, "owner", metav1.DeleteOptions{})).To(Succeed())
		Eventually(func() error {
			_, err := c.Namespace("default").Get(ctx, "owned", metav1.GetOptions{})
			return err
		}).Should(Satisfy(apierrors.IsNotFound))

		w.namespace("harbour")
		moored := boat(group, "v1", "moored", map[string]any{"hull": "hide"})
		moored.SetNamespace("harbour")
		_, err = c.Namespace("harbour").Create(ctx, moored, metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		w.ok("delete", "namespace", "harbour", "--timeout", "10s")
		_, err = c.Namespace("harbour").Get(ctx, "moored", metav1.GetOptions{})
		Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
	})

	It("refuses a name that is taken, until it is free", func(ctx SpecContext) {
		other := boats(group, func(crd *apiextensionsv1.CustomResourceDefinition) {
			crd.Name = "rafts." + group
			crd.Spec.Names = apiextensionsv1.CustomResourceDefinitionNames{Plural: "rafts", Singular: "raft", Kind: "Raft", ListKind: "RaftList", ShortNames: []string{"bt"}}
		})
		Expect(crds.Create(ctx, other)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(crds.Get(ctx, client.ObjectKeyFromObject(other), other)).To(Succeed())
			g.Expect(other.Status.Conditions).To(ContainElement(And(HaveField("Type", apiextensionsv1.NamesAccepted),
				HaveField("Reason", "ShortNamesConflict"), HaveField("Message", `"bt" is already in use`))))
		}).Should(Succeed())
		stay, err := w.dynamic(gvr).Namespace("default").Get(ctx, "first", metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
		stay.SetFinalizers([]string{"example.com/stay"})
		_, err = w.dynamic(gvr).Namespace("default").Update(ctx, stay, metav1.UpdateOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(crds.Delete(ctx, boats(group, nil))).To(Succeed())
		Eventually(func(g Gomega) {
			crd := &apiextensionsv1.CustomResourceDefinition{}
			g.Expect(crds.Get(ctx, client.ObjectKey{Name: "boats." + group}, crd)).To(Succeed())
			g.Expect(crd.Status.Conditions).To(ContainElement(And(HaveField("Type", apiextensionsv1.Terminating), HaveField("Reason", "InstanceDeletionInProgress"))))
		}).Should(Succeed())
		_, err = w.dynamic(gvr).Namespace("default").Create(ctx, boat(group, "v1", "late", map[string]any{"hull": "hide"}), metav1.CreateOptions{})
		Expect(err).To(MatchError(ContainSubstring("create not allowed while custom resource definition is terminating")))
		_, err = w.dynamic(gvr).Namespace("default").Patch(ctx, "first", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() error {
			return crds.Get(ctx, client.ObjectKey{Name: "boats." + group}, &apiextensionsv1.CustomResourceDefinition{})
		}).Should(Satisfy(apierrors.IsNotFound), "the definition goes when its last object has")
		established(ctx, crds, other.Name)
		Expect(w.ok("api-resources", "--api-group", group)).NotTo(ContainSubstring("boats"))
	})
})

var _ = Describe("stored custom resources", func() {
	It("are served again after a restart, before the server is ready", func(ctx SpecContext) {
		dir := GinkgoT().TempDir()
		w := begin(env.WithDir(dir))
		Expect(w.definitions().Create(ctx, boats("example.org", nil))).To(Succeed())
		gvr := schema.GroupVersionResource{Group: "example.org", Version: "v1", Resource: "boats"}
		_, err := w.dynamic(gvr).Namespace("default").Create(ctx, boat("example.org", "v1", "kept", map[string]any{"hull": "hide"}), metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		w.Cluster.Stop()
		w = begin(env.WithDir(dir))
		_, err = w.dynamic(gvr).Namespace("default").Get(ctx, "kept", metav1.GetOptions{})
		Expect(err).NotTo(HaveOccurred())
	})
})
