package access

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

// Schemas returns the merge schema of any kind that is served, nil of others.
type Schemas func(schema.GroupVersionKind) managedfields.TypeConverter

// dynamicAdmission connects webhooks and policies to the server.
func (a *Access) dynamicAdmission() *dynamic.Config {
	c := &dynamic.Config{
		Watch: a.config.Stores.Watch, Kept: a.config.Kept, Namespaces: a.Live, Params: &params{a.config},
		Mapper: &mapper{RESTMapper: a.config.Mapper, self: a.config.json()}, TypeConverter: a.config.Schemas,
		Schemas: schemas{a.config.json()}, WriteStatus: a.config.writePolicyStatus, Clock: a.config.Clock,
		Authorizer: a.Authorizer, Services: a.config.Services, Wrap: a.config.Services.Wrap,
	}
	if a.config.UncheckedPolicies {
		c.WriteStatus = nil
	}
	return c
}

// json connects clients of objects without Go types.
func (c Config) json() *rest.Config {
	self := rest.CopyConfig(c.Self)
	self.ContentConfig = rest.ContentConfig{}
	return self
}

// schemas asks the server's own OpenAPI, which custom resources are part of.
type schemas struct{ self *rest.Config }

// ResolveSchema implements resolver.SchemaResolver.
func (s schemas) ResolveSchema(gvk schema.GroupVersionKind) (*spec.Schema, error) {
	client, err := discovery.NewDiscoveryClientForConfig(s.self)
	if err != nil {
		return nil, err
	}
	return (&resolver.ClientDiscoveryResolver{Discovery: client}).ResolveSchema(gvk)
}

// policyStatusManager owns what is written into policies' status, as upstream.
const policyStatusManager = "validatingadmissionpolicy-status"

func (c Config) writePolicyStatus(ctx context.Context, name string, status admissionv1.ValidatingAdmissionPolicyStatus) error {
	client, err := admissionclient.NewForConfig(c.Self)
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

// params reads built-in kinds from their storages, other kinds by request.
type params struct{ config Config }

func (p *params) Get(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string) (runtime.Object, error) {
	if p.config.Stores.Has(gvr) {
		return p.config.Stores.Get(ctx, gvr.GroupResource(), namespace, name)
	}
	c, err := dynamicclient.NewForConfig(p.config.json())
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
	if p.config.Stores.Has(gvr) {
		store, err := p.config.Stores.Store(gvr.GroupResource())
		if err != nil {
			return nil, err
		}
		return store.List(request.WithNamespace(ctx, namespace), &metainternalversion.ListOptions{LabelSelector: selector})
	}
	c, err := dynamicclient.NewForConfig(p.config.json())
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
	self *rest.Config

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
		m.discovery, err = discovery.NewDiscoveryClientForConfig(m.self)
	}
	return m.discovery, err
}
