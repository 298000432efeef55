package apiserver

import (
	"context"
	"sync"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"
	"k8s.io/apiserver/pkg/endpoints/request"
	admissionv1ac "k8s.io/client-go/applyconfigurations/admissionregistration/v1"
	"k8s.io/client-go/discovery"
	dynamicclient "k8s.io/client-go/dynamic"
	admissionclient "k8s.io/client-go/kubernetes/typed/admissionregistration/v1"
	"k8s.io/client-go/rest"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/coracle-k8s/coracle/apiserver/admission/dynamic"
)

// dynamicAdmission connects webhooks and policies to this server.
func (a *access) dynamicAdmission() *dynamic.Config {
	s := a.server
	c := &dynamic.Config{
		Watch: a.watch, Kept: s.kept, Namespaces: a.live, Params: &params{server: s},
		Mapper: &mapper{RESTMapper: s.Mapper(), server: s}, TypeConverter: s.typeConverter,
		Schemas: schemas{s}, WriteStatus: s.writePolicyStatus, Clock: s.config.Clock,
		Authorizer: a.authorizer, Services: s.services, Wrap: s.services.Wrap,
	}
	if s.config.UncheckedPolicies {
		c.WriteStatus = nil
	}
	return c
}

// typeConverter has the merge schema of any kind that is served, nil of others.
func (s *Server) typeConverter(gvk schema.GroupVersionKind) managedfields.TypeConverter {
	if s.config.Scheme.Recognizes(gvk) {
		return s.docs.TypeConverter()
	}
	return s.custom.TypeConverter(gvk.GroupKind())
}

// schemas asks the server's own OpenAPI, which custom resources are part of.
type schemas struct{ server *Server }

// ResolveSchema implements resolver.SchemaResolver.
func (s schemas) ResolveSchema(gvk schema.GroupVersionKind) (*spec.Schema, error) {
	client, err := discovery.NewDiscoveryClientForConfig(s.server.jsonConfig())
	if err != nil {
		return nil, err
	}
	return (&resolver.ClientDiscoveryResolver{Discovery: client}).ResolveSchema(gvk)
}

// policyStatusManager owns what is written into policies' status, as upstream.
const policyStatusManager = "validatingadmissionpolicy-status"

func (s *Server) writePolicyStatus(ctx context.Context, name string, status admissionv1.ValidatingAdmissionPolicyStatus) error {
	client, err := admissionclient.NewForConfig(s.RESTConfig())
	if err != nil {
		return err
	}
	found := admissionv1ac.TypeChecking()
	for _, w := range status.TypeChecking.ExpressionWarnings {
		found.WithExpressionWarnings(admissionv1ac.ExpressionWarning().WithFieldRef(w.FieldRef).WithWarning(w.Warning))
	}
	apply := admissionv1ac.ValidatingAdmissionPolicy(name).WithStatus(admissionv1ac.ValidatingAdmissionPolicyStatus().
		WithObservedGeneration(status.ObservedGeneration).WithTypeChecking(found))
	_, err = client.ValidatingAdmissionPolicies().ApplyStatus(ctx, apply, metav1.ApplyOptions{FieldManager: policyStatusManager, Force: true})
	return err
}

// kept counts keys, which opens no watch cache. Another server on the same etcd
// may store objects at any time, so there the answer is yes.
func (s *Server) kept(ctx context.Context, gr schema.GroupResource) (bool, error) {
	if len(s.config.Etcd.Endpoints) > 0 {
		return true, nil
	}
	n, err := s.getter.Stored(ctx, gr)
	return n > 0, err
}

// jsonConfig returns RESTConfig for clients of objects without Go types.
func (s *Server) jsonConfig() *rest.Config {
	c := s.RESTConfig()
	c.ContentConfig = rest.ContentConfig{}
	return c
}

// params reads built-in kinds from their storages, other kinds by request.
type params struct{ server *Server }

func (p *params) Get(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string) (runtime.Object, error) {
	if p.server.dispatcher.Stores(gvr) {
		store, err := p.server.dispatcher.Store(gvr.GroupResource())
		if err != nil {
			return nil, err
		}
		return store.Get(reading(ctx, gvr.GroupResource(), namespace), name, &metav1.GetOptions{})
	}
	c, err := dynamicclient.NewForConfig(p.server.jsonConfig())
	if err != nil {
		return nil, err
	}
	if namespace == "" {
		return c.Resource(gvr).Get(ctx, name, metav1.GetOptions{})
	}
	return c.Resource(gvr).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
}

func (p *params) List(ctx context.Context, gvr schema.GroupVersionResource, namespace string, selector labels.Selector) ([]runtime.Object, error) {
	list, err := p.list(ctx, gvr, namespace, selector)
	if err != nil {
		return nil, err
	}
	return meta.ExtractList(list)
}

func (p *params) list(ctx context.Context, gvr schema.GroupVersionResource, namespace string, selector labels.Selector) (runtime.Object, error) {
	if p.server.dispatcher.Stores(gvr) {
		store, err := p.server.dispatcher.Store(gvr.GroupResource())
		if err != nil {
			return nil, err
		}
		return store.List(request.WithNamespace(ctx, namespace), &metainternalversion.ListOptions{LabelSelector: selector})
	}
	c, err := dynamicclient.NewForConfig(p.server.jsonConfig())
	if err != nil {
		return nil, err
	}
	options := metav1.ListOptions{LabelSelector: selector.String()}
	if namespace == "" {
		return c.Resource(gvr).List(ctx, options)
	}
	return c.Resource(gvr).Namespace(namespace).List(ctx, options)
}

// mapper maps the built-in kinds itself, and uses discovery for others.
type mapper struct {
	meta.RESTMapper
	server *Server

	mu        sync.Mutex
	discovery *discovery.DiscoveryClient
}

// RESTMapping implements meta.RESTMapper.
func (m *mapper) RESTMapping(gk schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	mapping, err := m.RESTMapper.RESTMapping(gk, versions...)
	if err == nil || len(versions) == 0 {
		return mapping, err
	}
	client, clientErr := m.client()
	if clientErr != nil {
		return nil, clientErr
	}
	for _, version := range versions {
		gv := schema.GroupVersion{Group: gk.Group, Version: version}
		served, err := client.ServerResourcesForGroupVersion(gv.String())
		if err != nil {
			continue // no such group or version, most likely
		}
		for _, r := range served.APIResources {
			if r.Kind != gk.Kind || len(r.Verbs) == 0 || r.Group != "" && r.Group != gk.Group {
				continue
			}
			scope := meta.RESTScopeRoot
			if r.Namespaced {
				scope = meta.RESTScopeNamespace
			}
			return &meta.RESTMapping{Resource: gv.WithResource(r.Name), GroupVersionKind: gv.WithKind(gk.Kind), Scope: scope}, nil
		}
	}
	return nil, err
}

// KindsFor implements meta.RESTMapper.
func (m *mapper) KindsFor(gvr schema.GroupVersionResource) ([]schema.GroupVersionKind, error) {
	kinds, err := m.RESTMapper.KindsFor(gvr)
	if err == nil || gvr.Version == "" {
		return kinds, err
	}
	client, clientErr := m.client()
	if clientErr != nil {
		return nil, clientErr
	}
	if served, discoveryErr := client.ServerResourcesForGroupVersion(gvr.GroupVersion().String()); discoveryErr == nil {
		for _, r := range served.APIResources {
			if r.Name == gvr.Resource {
				return []schema.GroupVersionKind{gvr.GroupVersion().WithKind(r.Kind)}, nil
			}
		}
	}
	return nil, err
}

func (m *mapper) client() (*discovery.DiscoveryClient, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var err error
	if m.discovery == nil {
		m.discovery, err = discovery.NewDiscoveryClientForConfig(m.server.jsonConfig())
	}
	return m.discovery, err
}
