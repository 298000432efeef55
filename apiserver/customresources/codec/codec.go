// Package codec decodes, converts, defaults and encodes custom resources: by the structural schemas
// of their definition, where Go's types do it for others.
//
// The API of this package is not stable: see docs/api.md.
package codec

import (
	"fmt"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/crdserverscheme"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/runtime/serializer/versioning"
	"k8s.io/apiserver/pkg/registry/generic"
)

// Schemas prune and default the objects of one definition. Go's decoder does
// the same for typed objects.
type Schemas struct {
	Kind schema.GroupKind
	// ByVersion has the structural schema of each version that has one.
	ByVersion             map[string]*structuralschema.Structural
	PreserveUnknownFields bool
	// Scheme decodes and defaults what is not an object of the kind, such as
	// DeleteOptions.
	Scheme *runtime.Scheme
}

// NewScheme has what answers besides objects are made of; such kinds are the
// same in every version.
func NewScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	v1 := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(s, v1)
	s.AddUnversionedTypes(v1, &metav1.Status{}, &metav1.WatchEvent{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{}, &metav1.APIResourceList{})
	return s
}

// strictness of coerce.
type strictness struct {
	// stored objects may be older than the checks: bad metadata is dropped and
	// a missing generation is 1.
	stored bool
	// report returns the paths of fields that were dropped.
	report bool
}

// coerce checks metadata, drops unknown fields, and nulls where there is
// neither a default nor nullable; it returns what it dropped.
func (s *Schemas) coerce(u *unstructured.Unstructured, how strictness) (unknown []string, err error) {
	kind, hasKind, err := unstructured.NestedString(u.Object, "kind")
	if err != nil {
		return nil, err
	}
	apiVersion, hasVersion, err := unstructured.NestedString(u.Object, "apiVersion")
	if err != nil {
		return nil, err
	}
	meta, hasMeta, unknown, err := objectmeta.GetObjectMetaWithOptions(u.Object, objectmeta.ObjectMetaOptions{
		DropMalformedFields: how.stored, ReturnUnknownFieldPaths: how.report,
	})
	if err != nil {
		return nil, err
	}
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return nil, err
	}
	if gv.WithKind(kind).GroupKind() == s.Kind {
		more, err := s.prune(u, gv.Version, how)
		if err != nil {
			return nil, err
		}
		unknown = append(unknown, more...)
		if how.stored && hasMeta && meta.Generation == 0 {
			meta.Generation = 1
		}
	}
	// Schemas do not contain these fields, so pruning may have removed them.
	if hasKind {
		u.SetKind(kind)
	}
	if hasVersion {
		u.SetAPIVersion(apiVersion)
	}
	if hasMeta {
		if err := objectmeta.SetObjectMeta(u.Object, meta); err != nil {
			return nil, err
		}
	}
	return unknown, nil
}

func (s *Schemas) prune(u *unstructured.Unstructured, version string, how strictness) ([]string, error) {
	var unknown []string
	structural := s.ByVersion[version]
	if !s.PreserveUnknownFields {
		unknown = pruning.PruneWithOptions(u.Object, structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: how.report})
		defaulting.PruneNonNullableNullsWithoutDefaults(u.Object, structural)
	}
	failed, more := objectmeta.CoerceWithOptions(nil, u.Object, structural, false, objectmeta.CoerceOptions{
		DropInvalidFields: how.stored, ReturnUnknownFieldPaths: how.report,
	})
	if failed != nil {
		return nil, failed
	}
	return append(unknown, more...), nil
}

// Default implements runtime.ObjectDefaulter.
func (s *Schemas) Default(obj runtime.Object) {
	u, ok := obj.(runtime.Unstructured)
	if !ok || u.GetObjectKind().GroupVersionKind().GroupKind() != s.Kind {
		s.Scheme.Default(obj)
		return
	}
	defaulting.Default(u.UnstructuredContent(), s.ByVersion[u.GetObjectKind().GroupVersionKind().Version])
}

// decoder coerces what another decodes.
type decoder struct {
	runtime.Decoder
	schemas *Schemas
	how     strictness
}

func (d decoder) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	obj, gvk, err := d.Decoder.Decode(data, defaults, into)
	var strict []error
	if err != nil {
		failed, ok := runtime.AsStrictDecodingError(err)
		if !ok || obj == nil {
			return nil, gvk, err
		}
		strict = failed.Errors()
	}
	u, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return obj, gvk, err
	}
	unknown, err := d.schemas.coerce(u, d.how)
	if err != nil {
		return nil, gvk, err
	}
	for _, path := range unknown {
		strict = append(strict, fmt.Errorf("unknown field %q", path))
	}
	if d.how.report && len(strict) > 0 {
		return obj, gvk, runtime.NewStrictDecodingError(strict)
	}
	return obj, gvk, nil
}

// converter coerces what another converts.
type converter struct {
	runtime.ObjectConvertor
	schemas *Schemas
}

func (c converter) Convert(in, out, context any) error {
	if err := c.ObjectConvertor.Convert(in, out, context); err != nil {
		return err
	}
	return c.coerce(out)
}

func (c converter) ConvertToVersion(in runtime.Object, gv runtime.GroupVersioner) (runtime.Object, error) {
	out, err := c.ObjectConvertor.ConvertToVersion(in, gv)
	if err != nil {
		return nil, err
	}
	return out, c.coerce(out)
}

func (c converter) coerce(obj any) error {
	u, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	_, err := c.schemas.coerce(u, strictness{})
	return err
}

// Creator makes every object unstructured.
type Creator struct{}

// New implements runtime.ObjectCreater.
func (Creator) New(kind schema.GroupVersionKind) (runtime.Object, error) {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(kind)
	return u, nil
}

// Typer recognizes unstructured objects and the option kinds of a version.
type Typer struct {
	options      *runtime.Scheme
	unstructured runtime.ObjectTyper
}

// OptionsScheme has what a request to a version may bring besides objects.
func OptionsScheme(gv schema.GroupVersion) *runtime.Scheme {
	s := runtime.NewScheme()
	s.AddUnversionedTypes(gv, &metav1.ListOptions{}, &metav1.GetOptions{}, &metav1.DeleteOptions{})
	return s
}

// NewTyper returns a Typer of unstructured objects and of the options.
func NewTyper(options *runtime.Scheme) Typer {
	return Typer{options: options, unstructured: crdserverscheme.NewUnstructuredObjectTyper()}
}

// ObjectKinds implements runtime.ObjectTyper.
func (t Typer) ObjectKinds(obj runtime.Object) ([]schema.GroupVersionKind, bool, error) {
	if _, ok := obj.(runtime.Unstructured); ok {
		return t.unstructured.ObjectKinds(obj)
	}
	return t.options.ObjectKinds(obj)
}

// Recognizes implements runtime.ObjectTyper.
func (t Typer) Recognizes(gvk schema.GroupVersionKind) bool { return t.options.Recognizes(gvk) }

// Negotiated is the serializer of requests to one version.
type Negotiated struct {
	Schemas   *Schemas
	Converter runtime.ObjectConvertor
	Media     []runtime.SerializerInfo
}

// SupportedMediaTypes implements runtime.NegotiatedSerializer.
func (n Negotiated) SupportedMediaTypes() []runtime.SerializerInfo { return n.Media }

// EncoderForVersion implements runtime.NegotiatedSerializer.
func (n Negotiated) EncoderForVersion(e runtime.Encoder, gv runtime.GroupVersioner) runtime.Encoder {
	s := n.Schemas.Scheme
	return versioning.NewCodec(e, nil, n.Converter, s, s, s, gv, nil, "customResources")
}

// DecoderToVersion implements runtime.NegotiatedSerializer.
func (n Negotiated) DecoderToVersion(d runtime.Decoder, gv runtime.GroupVersioner) runtime.Decoder {
	s := n.Schemas.Scheme
	var how strictness
	if j, ok := d.(*json.Serializer); ok {
		how.report = j.IsStrict()
	}
	return versioning.NewCodec(nil, decoder{Decoder: d, schemas: n.Schemas, how: how}, runtime.UnsafeObjectConvertor(s), s, s, n.Schemas, nil, gv, "customResources")
}

// MediaTypes returns JSON and YAML for objects; protobuf only for what the
// server itself answers with: metadata, tables and statuses.
func MediaTypes(t runtime.ObjectTyper) []runtime.SerializerInfo {
	encoder := func(o json.SerializerOptions) *json.Serializer {
		return json.NewSerializerWithOptions(json.DefaultMetaFactory, Creator{}, t, o)
	}
	return []runtime.SerializerInfo{
		{
			MediaType: runtime.ContentTypeJSON, MediaTypeType: "application", MediaTypeSubType: "json", EncodesAsText: true,
			Serializer:       encoder(json.SerializerOptions{StreamingCollectionsEncoding: true}),
			PrettySerializer: encoder(json.SerializerOptions{Pretty: true}),
			StrictSerializer: encoder(json.SerializerOptions{Strict: true, StreamingCollectionsEncoding: true}),
			StreamSerializer: &runtime.StreamSerializerInfo{EncodesAsText: true, Serializer: encoder(json.SerializerOptions{}), Framer: json.Framer},
		},
		{
			MediaType: runtime.ContentTypeYAML, MediaTypeType: "application", MediaTypeSubType: "yaml", EncodesAsText: true,
			Serializer:       encoder(json.SerializerOptions{Yaml: true}),
			StrictSerializer: encoder(json.SerializerOptions{Yaml: true, Strict: true}),
		},
		{
			MediaType: runtime.ContentTypeProtobuf, MediaTypeType: "application", MediaTypeSubType: "vnd.kubernetes.protobuf",
			Serializer: protobuf.NewSerializerWithOptions(Creator{}, t, protobuf.SerializerOptions{StreamingCollectionsEncoding: true}),
			StreamSerializer: &runtime.StreamSerializerInfo{
				Serializer: protobuf.NewRawSerializer(Creator{}, t), Framer: protobuf.LengthDelimitedFramer,
			},
		},
	}
}

// RESTOptions opens the storage of one version: kept as the version Stored,
// in memory as its own, Decoded.
type RESTOptions struct {
	generic.RESTOptionsGetter
	Schemas         *Schemas
	Converter       runtime.ObjectConvertor
	Stored, Decoded schema.GroupVersion
}

// GetRESTOptions implements generic.RESTOptionsGetter.
func (r RESTOptions) GetRESTOptions(gr schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	options, err := r.RESTOptionsGetter.GetRESTOptions(gr, nil)
	if err != nil {
		return options, err
	}
	raw := options.StorageConfig.Codec
	options.StorageConfig.Codec = versioning.NewCodec(raw,
		decoder{Decoder: raw, schemas: r.Schemas, how: strictness{stored: true}},
		converter{ObjectConvertor: r.Converter, schemas: r.Schemas},
		Creator{}, crdserverscheme.NewUnstructuredObjectTyper(), r.Schemas, r.Stored, r.Decoded, "customResourceStorage")
	return options, nil
}
