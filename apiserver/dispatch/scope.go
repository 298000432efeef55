package dispatch

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/endpoints/handlers"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// scope makes, once, what the handlers need to know of a (sub)resource.
func (d *Dispatcher) scope(e *resource, sub string, st rest.Storage) (*handlers.RequestScope, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.scopes[sub]; s != nil {
		return s, nil
	}
	gvk := e.GVK
	if sub != "" {
		gvk = e.subresources[sub].GVK
	}
	table, _ := st.(rest.TableConvertor)
	accepts, _ := st.(rest.GroupVersionAcceptor)
	scheme := d.config.Scheme
	s := &handlers.RequestScope{
		Namer:      handlers.ContextBasedNaming{Namer: runtime.Namer(meta.NewAccessor()), ClusterScoped: e.ClusterScoped},
		Serializer: d.serializer, ParameterCodec: d.parameterCodec,
		Creater: scheme, Convertor: convertor{scheme}, Defaulter: scheme, Typer: scheme,
		UnsafeConvertor:             unsafeConvertor{runtime.UnsafeObjectConvertor(scheme)},
		Authorizer:                  d.config.Authorizer,
		EquivalentResourceMapper:    d.config.Equivalents,
		TableConvertor:              table,
		Resource:                    e.GVR(),
		Subresource:                 sub,
		Kind:                        gvk,
		AcceptsGroupVersionDelegate: accepts,
		HubGroupVersion:             schema.GroupVersion{Group: gvk.Group, Version: runtime.APIVersionInternal},
		MetaGroupVersion:            metav1.SchemeGroupVersion,
		MaxRequestBodyBytes:         d.config.MaxRequestBodyBytes,
	}
	if _, connects := st.(rest.Connecter); !connects {
		manager, err := d.fieldManager(s, st)
		if err != nil {
			return nil, err
		}
		s.FieldManager = manager
	}
	e.scopes[sub] = s
	return s, nil
}

func (d *Dispatcher) fieldManager(s *handlers.RequestScope, st rest.Storage) (*managedfields.FieldManager, error) {
	var reset map[fieldpath.APIVersion]fieldpath.Filter
	switch r := st.(type) {
	case rest.ResetFieldsFilterStrategy:
		reset = r.GetResetFieldsFilter()
	case rest.ResetFieldsStrategy:
		reset = fieldpath.NewExcludeFilterSetMap(r.GetResetFields())
	}
	manager, err := managedfields.NewDefaultFieldManager(ownTypes{d.config.TypeConverter, s.Kind}, s.UnsafeConvertor, s.Defaulter, s.Creater,
		s.Kind, s.HubGroupVersion, s.Subresource, reset)
	if err != nil {
		return nil, fmt.Errorf("making the field manager of %s: %w", s.Kind, err)
	}
	return manager, nil
}
