package codec

import (
	"encoding/json"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
)

// FuzzObjects prunes custom objects to a schema, as they come in requests and out of the
// storage. Pruning again removes nothing more, and defaulting again changes nothing.
func FuzzObjects(f *testing.F) {
	var props apiextensions.JSONSchemaProps
	err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{
		"spec": {Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{
			"size":  {Type: "integer", Default: &apiextensionsv1.JSON{Raw: []byte("3")}},
			"name":  {Type: "string", Nullable: true},
			"any":   {Type: "object", XPreserveUnknownFields: ptr.To(true)},
			"inner": {Type: "object", XEmbeddedResource: true, XPreserveUnknownFields: ptr.To(true)},
			"list":  {Type: "array", Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"a": {XIntOrString: true}}}}},
		}},
	}}, &props, nil)
	if err != nil {
		f.Fatal(err)
	}
	structural, err := structuralschema.NewStructural(&props)
	if err != nil {
		f.Fatal(err)
	}
	s := &Schemas{Kind: schema.GroupKind{Group: "a.b", Kind: "C"}, ByVersion: map[string]*structuralschema.Structural{"v1": structural}, Scheme: NewScheme()}
	const head = `{"apiVersion":"a.b/v1","kind":"C",`
	for _, text := range []string{
		head + `"metadata":{"name":"x","labels":{"a":1}},"spec":{"size":null,"name":null,"list":[{"a":"1","b":2},null]}}`, head + `"metadata":null,"spec":[]}`, head + `"metadata":{"creationTimestamp":"x","generation":-1,"x":1},"spec":{"any":{"a":[{}]},"x":1}}`,
		head + `"spec":{"inner":{"apiVersion":"v1","kind":"Pod","metadata":{"name":5,"x":1},"y":2}}}`, head + `"spec":{"inner":{}}}`, head + `"spec":{"size":1e400,"list":{"a":1}}}`, `{"apiVersion":"a/b/c","kind":"C"}`, `{"apiVersion":1,"kind":{}}`, `{"apiVersion":"a.b/v2","kind":"C","spec":{}}`, "{}",
	} {
		f.Add([]byte(text), true, false)
		f.Add([]byte(text), false, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, stored, report bool) {
		object := map[string]any{}
		if runtime.DecodeInto(unstructured.UnstructuredJSONScheme, data, &unstructured.Unstructured{}) != nil || json.Unmarshal(data, &object) != nil {
			return
		}
		u := &unstructured.Unstructured{}
		if u.UnmarshalJSON(data) != nil {
			return
		}
		if _, err := s.coerce(u, strictness{stored: stored, report: report}); err != nil {
			return
		}
		again := u.DeepCopy()
		if unknown, err := s.coerce(again, strictness{stored: stored, report: true}); err != nil || len(unknown) > 0 || !equality.Semantic.DeepEqual(u, again) {
			t.Errorf("cut twice: %v, %v\n%v\n%v", unknown, err, u, again)
		}
		s.Default(u)
		again = u.DeepCopy()
		if s.Default(again); !equality.Semantic.DeepEqual(u, again) {
			t.Errorf("defaults change defaults:\n%v\n%v", u, again)
		}
	})
}
