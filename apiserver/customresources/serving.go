package customresources

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/endpoints/handlers"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/scale/scheme/autoscalingv1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/coracle-k8s/coracle/apiserver/customresources/codec"
	"github.com/coracle-k8s/coracle/apiserver/storage"
)

// serving serves the objects of one definition until its spec or its names
// change. Its parts are made at the first request to a version.
type serving struct {
	server *Server
	crd    *definitionCRD

	shared struct {
		once         sync.Once
		err          error
		schemas      *codec.Schemas
		safe, unsafe runtime.ObjectConvertor
		types        managedfields.TypeConverter
		equivalents  runtime.EquivalentResourceRegistry
		replicas     managedfields.ResourcePathMappings
	}

	mu       sync.Mutex
	retired  bool
	closed   bool
	versions map[string]*endpoint
	// inFlight are requests that end by themselves.
	inFlight sync.WaitGroup
}

// endpoint serves one version of a definition.
type endpoint struct {
	storage             customresource.CustomResourceStorage
	main, status, scale *handlers.RequestScope
	warnings            []string
	deprecated          bool
	ready               func(context.Context) error
}

func newServing(s *Server, crd *definitionCRD) *serving {
	return &serving{server: s, crd: crd, versions: map[string]*endpoint{}}
}

func (s *serving) gv(version string) schema.GroupVersion {
	return schema.GroupVersion{Group: s.crd.Spec.Group, Version: version}
}

// version returns what serves the named version when its cache answers.
func (s *serving) version(ctx context.Context, name string) (*endpoint, error) {
	v, err := s.open(name)
	if err != nil {
		return nil, fmt.Errorf("opening version %s of %s: %w", name, s.crd.Name, err)
	}
	if err := v.ready(ctx); err != nil {
		return nil, fmt.Errorf("waiting for the cache of %s: %w", s.crd.Name, err)
	}
	return v, nil
}

func (s *serving) open(name string) (*endpoint, error) {
	s.shared.once.Do(func() { s.shared.err = s.share() })
	if s.shared.err != nil {
		return nil, s.shared.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errStopped
	}
	if v := s.versions[name]; v != nil {
		return v, nil
	}
	for i := range s.crd.Spec.Versions {
		if spec := &s.crd.Spec.Versions[i]; spec.Name == name {
			v, err := s.build(spec)
			if err == nil {
				s.versions[name] = v
			}
			return v, err
		}
	}
	return nil, fmt.Errorf("there is no such version")
}

// enter begins a request; it returns false if another serving has taken over.
// leave must follow true.
func (s *serving) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired {
		return false
	}
	s.inFlight.Add(1)
	return true
}

func (s *serving) leave() { s.inFlight.Done() }

// retire lets the requests that have begun come to their end, and closes.
func (s *serving) retire() {
	s.mu.Lock()
	s.retired = true
	s.mu.Unlock()
	s.inFlight.Wait()
	s.close()
}

// close ends the storages, and with them the watches.
func (s *serving) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, v := range s.versions {
		v.storage.CustomResource.Destroy()
	}
}

// share makes what all versions have in common.
func (s *serving) share() error {
	sh := &s.shared
	sh.schemas = &codec.Schemas{
		Kind:      schema.GroupKind{Group: s.crd.Spec.Group, Kind: s.crd.Status.AcceptedNames.Kind},
		ByVersion: map[string]*structuralschema.Structural{}, PreserveUnknownFields: s.crd.Spec.PreserveUnknownFields, Scheme: s.server.scheme,
	}
	sh.equivalents, sh.replicas = runtime.NewEquivalentResourceRegistry(), managedfields.ResourcePathMappings{}
	for i := range s.crd.Spec.Versions {
		v := &s.crd.Spec.Versions[i]
		structural, err := s.structural(v)
		if err != nil {
			return fmt.Errorf("reading the schema of version %s: %w", v.Name, err)
		}
		if structural != nil {
			sh.schemas.ByVersion[v.Name] = structural
		}
		s.register(v)
	}
	sh.types = &lazyTypes{crd: s.crd}
	var err error
	sh.safe, sh.unsafe, err = s.server.converters.NewConverter(s.crd)
	return err
}

func (s *serving) structural(v *apiextensionsv1.CustomResourceDefinitionVersion) (*structuralschema.Structural, error) {
	internal, err := internalSchema(v)
	if internal == nil || err != nil {
		return nil, err
	}
	structural, err := structuralschema.NewStructural(internal)
	if s.crd.Spec.PreserveUnknownFields {
		return structural, nil // it may be what it wants
	}
	if err != nil {
		return nil, err
	}
	// Defaults in it are shared with the definition.
	structural = structural.DeepCopy()
	return structural, defaulting.PruneDefaults(structural)
}

func internalSchema(v *apiextensionsv1.CustomResourceDefinitionVersion) (*apiextensions.JSONSchemaProps, error) {
	if v.Schema == nil {
		return nil, nil
	}
	internal := &apiextensions.CustomResourceValidation{}
	err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(v.Schema, internal, nil)
	return internal.OpenAPIV3Schema, err
}

// register notes the kinds of a version and where it keeps its replicas.
func (s *serving) register(v *apiextensionsv1.CustomResourceDefinitionVersion) {
	gv := s.gv(v.Name)
	resource, kind := gv.WithResource(s.crd.Status.AcceptedNames.Plural), gv.WithKind(s.crd.Status.AcceptedNames.Kind)
	s.shared.equivalents.RegisterKindFor(resource, "", kind)
	s.shared.replicas[gv.String()] = nil
	if v.Subresources == nil {
		return
	}
	if v.Subresources.Status != nil {
		s.shared.equivalents.RegisterKindFor(resource, "status", kind)
	}
	if v.Subresources.Scale != nil {
		s.shared.equivalents.RegisterKindFor(resource, "scale", autoscalingv1.SchemeGroupVersion.WithKind("Scale"))
		var path fieldpath.Path
		for name := range strings.SplitSeq(strings.TrimPrefix(v.Subresources.Scale.SpecReplicasPath, "."), ".") {
			path = append(path, fieldpath.PathElement{FieldName: &name})
		}
		s.shared.replicas[gv.String()] = path
	}
}

func (s *serving) build(spec *apiextensionsv1.CustomResourceDefinitionVersion) (*endpoint, error) {
	options := codec.OptionsScheme(s.gv(spec.Name))
	t := codec.NewTyper(options)
	v := &endpoint{deprecated: spec.Deprecated, ready: func(context.Context) error { return nil }}
	if spec.Deprecated {
		v.warnings = []string{deprecation(s.crd, spec)}
	}
	if err := s.openStorage(v, spec, t); err != nil {
		return nil, err
	}
	if w, ok := v.storage.CustomResource.Storage.Storage.(storage.Waiter); ok {
		v.ready = w.Wait
	}
	v.storage.CustomResource.AfterDelete = s.server.afterDelete(s.crd.Name)
	if err := s.makeScopes(v, spec, t, options); err != nil {
		v.storage.CustomResource.Destroy()
		return nil, err
	}
	return v, nil
}

func (s *serving) openStorage(v *endpoint, spec *apiextensionsv1.CustomResourceDefinitionVersion, t codec.Typer) error {
	names, gv := s.crd.Status.AcceptedNames, s.gv(spec.Name)
	props, err := internalSchema(spec)
	if err != nil {
		return err
	}
	validator, _, err := validation.NewSchemaValidator(props)
	if err != nil {
		return err
	}
	var statusValidator validation.SchemaValidator
	var status *apiextensions.CustomResourceSubresourceStatus
	var scaled *apiextensions.CustomResourceSubresourceScale
	if sub := spec.Subresources; sub != nil && sub.Status != nil {
		status = &apiextensions.CustomResourceSubresourceStatus{}
		if props != nil {
			if p, ok := props.Properties["status"]; ok {
				if statusValidator, _, err = validation.NewSchemaValidator(&p); err != nil {
					return err
				}
			}
		}
	}
	if sub := spec.Subresources; sub != nil && sub.Scale != nil {
		scaled = &apiextensions.CustomResourceSubresourceScale{SpecReplicasPath: sub.Scale.SpecReplicasPath,
			StatusReplicasPath: sub.Scale.StatusReplicasPath, LabelSelectorPath: sub.Scale.LabelSelectorPath}
	}
	stored, err := apihelpers.GetCRDStorageVersion(s.crd)
	if err != nil {
		return err
	}
	// A column that does not parse leaves the table with those before it.
	table, _ := tableconvertor.New(columns(spec))
	strategy := customresource.NewStrategy(t, s.crd.Spec.Scope == apiextensionsv1.NamespaceScoped, gv.WithKind(names.Kind),
		validator, statusValidator, s.shared.schemas.ByVersion[spec.Name], status, scaled, spec.SelectableFields)
	v.storage, err = customresource.NewStorage(
		gv.WithResource(names.Plural).GroupResource(), gv.WithResource(names.Singular).GroupResource(), gv.WithKind(names.Kind), gv.WithKind(names.ListKind),
		strategy,
		codec.RESTOptions{RESTOptionsGetter: s.server.config.RESTOptions, Schemas: s.shared.schemas, Converter: s.shared.safe, Stored: s.gv(stored), Decoded: gv},
		names.Categories, table, s.shared.replicas)
	return err
}

func (s *serving) makeScopes(v *endpoint, spec *apiextensionsv1.CustomResourceDefinitionVersion, t codec.Typer, options *runtime.Scheme) error {
	gv := s.gv(spec.Name)
	media := codec.MediaTypes(t)
	main := handlers.RequestScope{
		Namer:               handlers.ContextBasedNaming{Namer: meta.NewAccessor(), ClusterScoped: s.crd.Spec.Scope == apiextensionsv1.ClusterScoped},
		Serializer:          codec.Negotiated{Schemas: s.shared.schemas, Converter: s.shared.safe, Media: media},
		StandardSerializers: media[:len(media)-1], // without protobuf
		ParameterCodec:      runtime.NewParameterCodec(options),
		Creater:             codec.Creator{}, Convertor: s.shared.safe, UnsafeConvertor: s.shared.unsafe, Typer: t,
		Defaulter:                optionsDefaulter{schemas: s.shared.schemas, options: options},
		EquivalentResourceMapper: s.shared.equivalents,
		Resource:                 gv.WithResource(s.crd.Status.AcceptedNames.Plural),
		Kind:                     gv.WithKind(s.crd.Status.AcceptedNames.Kind),
		// A version is its own hub: it is converted when read from storage.
		HubGroupVersion: gv, MetaGroupVersion: metav1.SchemeGroupVersion,
		TableConvertor: v.storage.CustomResource, Authorizer: s.server.config.Authorizer, MaxRequestBodyBytes: s.server.config.MaxRequestBodyBytes,
	}
	status, scaled := main, main
	var err error
	if v.main, err = s.managed(main, v.storage.CustomResource.GetResetFields()); err != nil {
		return err
	}
	if v.storage.Status != nil {
		status.Subresource = "status"
		if v.status, err = s.managed(status, s.statusResets()); err != nil {
			return err
		}
	}
	if v.storage.Scale != nil {
		scaled.Subresource, scaled.Kind = "scale", autoscalingv1.SchemeGroupVersion.WithKind("Scale")
		scaled.Serializer = serializer.NewCodecFactory(scale.NewScaleConverter().Scheme(),
			serializer.WithStreamingCollectionEncodingToJSON(), serializer.WithStreamingCollectionEncodingToProtobuf())
		scaled.TableConvertor, _ = tableconvertor.New(scaleColumns(spec))
		if v.scale, err = s.managed(scaled, nil); err != nil {
			return err
		}
	}
	return nil
}

// managed gives the scope its field manager.
func (s *serving) managed(scope handlers.RequestScope, resets map[fieldpath.APIVersion]*fieldpath.Set) (*handlers.RequestScope, error) {
	manager, err := managedfields.NewDefaultCRDFieldManager(s.shared.types, scope.Convertor, scope.Defaulter, scope.Creater,
		scope.Kind, scope.HubGroupVersion, scope.Subresource, fieldpath.NewExcludeFilterSetMap(resets))
	if err != nil {
		return nil, fmt.Errorf("making the field manager of %s: %w", scope.Kind, err)
	}
	scope.FieldManager = manager
	return &scope, nil
}

// statusResets returns, for every version, the fields that the status subresource ignores.
func (s *serving) statusResets() map[fieldpath.APIVersion]*fieldpath.Set {
	resets := map[fieldpath.APIVersion]*fieldpath.Set{}
	for _, v := range s.crd.Spec.Versions {
		if v.Subresources != nil && v.Subresources.Status != nil {
			resets[fieldpath.APIVersion(s.gv(v.Name).String())] = fieldpath.NewSet(fieldpath.MakePathOrDie("metadata"), fieldpath.MakePathOrDie("spec"))
		}
	}
	return resets
}

// optionsDefaulter defaults objects by their schema and options by the scheme
// of their version.
type optionsDefaulter struct {
	schemas *codec.Schemas
	options *runtime.Scheme
}

func (d optionsDefaulter) Default(obj runtime.Object) {
	if _, ok := obj.(runtime.Unstructured); ok {
		d.schemas.Default(obj)
		return
	}
	d.options.Default(obj)
}
