package customresources

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

// schemas prune and default the objects of one definition. Go's decoder does
// the same for typed objects.
type schemas struct {
	kind schema.GroupKind
	// byVersion has the structural schema of each version that has one.
	byVersion             map[string]*structuralschema.Structural
	preserveUnknownFields bool
	// scheme decodes and defaults what is not an object of the kind, such as
	// DeleteOptions.
	scheme *runtime.Scheme
}

// newScheme has what answers besides objects are made of; such kinds are the
// same in every version.
func newScheme() *runtime.Scheme {
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
func (s *schemas) coerce(u *unstructured.Unstructured, how strictness) (unknown []string, err error) {
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
	if gv.WithKind(kind).GroupKind() == s.kind {
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

func (s *schemas) prune(u *unstructured.Unstructured, version string, how strictness) ([]string, error) {
	var unknown []string
	structural := s.byVersion[version]
	if !s.preserveUnknownFields {
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
func (s *schemas) Default(obj runtime.Object) {
	u, ok := obj.(runtime.Unstructured)
	if !ok || u.GetObjectKind().GroupVersionKind().GroupKind() != s.kind {
		s.scheme.Default(obj)
		return
	}
	defaulting.Default(u.UnstructuredContent(), s.byVersion[u.GetObjectKind().GroupVersionKind().Version])
}

// decoder coerces what another decodes.
type decoder struct {
	runtime.Decoder
	schemas *schemas
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
	schemas *schemas
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

// creator makes every object unstructured.
type creator struct{}

func (creator) New(kind schema.GroupVersionKind) (runtime.Object, error) {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(kind)
	return u, nil
}

// typer recognizes unstructured objects and the option kinds of a version.
type typer struct {
	options      *runtime.Scheme
	unstructured runtime.ObjectTyper
}

// optionsScheme has what a request to a version may bring besides objects.
func optionsScheme(gv schema.GroupVersion) *runtime.Scheme {
	s := runtime.NewScheme()
	s.AddUnversionedTypes(gv, &metav1.ListOptions{}, &metav1.GetOptions{}, &metav1.DeleteOptions{})
	return s
}

func newTyper(options *runtime.Scheme) typer {
	return typer{options: options, unstructured: crdserverscheme.NewUnstructuredObjectTyper()}
}

func (t typer) ObjectKinds(obj runtime.Object) ([]schema.GroupVersionKind, bool, error) {
	if _, ok := obj.(runtime.Unstructured); ok {
		return t.unstructured.ObjectKinds(obj)
	}
	return t.options.ObjectKinds(obj)
}

func (t typer) Recognizes(gvk schema.GroupVersionKind) bool { return t.options.Recognizes(gvk) }

// negotiated is the serializer of requests to one version.
type negotiated struct {
	schemas   *schemas
	converter runtime.ObjectConvertor
	media     []runtime.SerializerInfo
}

func (n negotiated) SupportedMediaTypes() []runtime.SerializerInfo { return n.media }

func (n negotiated) EncoderForVersion(e runtime.Encoder, gv runtime.GroupVersioner) runtime.Encoder {
	s := n.schemas.scheme
	return versioning.NewCodec(e, nil, n.converter, s, s, s, gv, nil, "customResources")
}

func (n negotiated) DecoderToVersion(d runtime.Decoder, gv runtime.GroupVersioner) runtime.Decoder {
	s := n.schemas.scheme
	var how strictness
	if j, ok := d.(*json.Serializer); ok {
		how.report = j.IsStrict()
	}
	return versioning.NewCodec(nil, decoder{Decoder: d, schemas: n.schemas, how: how}, runtime.UnsafeObjectConvertor(s), s, s, n.schemas, nil, gv, "customResources")
}

// mediaTypes returns JSON and YAML for objects; protobuf only for what the
// server itself answers with: metadata, tables and statuses.
func mediaTypes(t runtime.ObjectTyper) []runtime.SerializerInfo {
	encoder := func(o json.SerializerOptions) *json.Serializer {
		return json.NewSerializerWithOptions(json.DefaultMetaFactory, creator{}, t, o)
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
			Serializer: protobuf.NewSerializerWithOptions(creator{}, t, protobuf.SerializerOptions{StreamingCollectionsEncoding: true}),
			StreamSerializer: &runtime.StreamSerializerInfo{
				Serializer: protobuf.NewRawSerializer(creator{}, t), Framer: protobuf.LengthDelimitedFramer,
			},
		},
	}
}

// restOptions opens the storage of one version: kept as the storage version,
// in memory as its own.
type restOptions struct {
	generic.RESTOptionsGetter
	schemas         *schemas
	converter       runtime.ObjectConvertor
	stored, decoded schema.GroupVersion
}

func (r restOptions) GetRESTOptions(gr schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	options, err := r.RESTOptionsGetter.GetRESTOptions(gr, nil)
	if err != nil {
		return options, err
	}
	raw := options.StorageConfig.Codec
	options.StorageConfig.Codec = versioning.NewCodec(raw,
		decoder{Decoder: raw, schemas: r.schemas, how: strictness{stored: true}},
		converter{ObjectConvertor: r.converter, schemas: r.schemas},
		creator{}, crdserverscheme.NewUnstructuredObjectTyper(), r.schemas, r.stored, r.decoded, "customResourceStorage")
	return options, nil
}
