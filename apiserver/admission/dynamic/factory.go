package dynamic

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	admissioninformers "k8s.io/client-go/informers/admissionregistration"
	admissionv1informers "k8s.io/client-go/informers/admissionregistration/v1"
	coreinformers "k8s.io/client-go/informers/core"
	corev1informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	admissionlisters "k8s.io/client-go/listers/admissionregistration/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

// The stock plugins want an informer factory and a client and ask them for two
// things: their configurations, and namespaces. These types are so much of
// both; what they leave out would be a nil pointer at the first request, which
// the tests would see.

type factory struct {
	informers.SharedInformerFactory
	configurations *informer
	namespaces     Namespaces
}

func (f factory) Admissionregistration() admissioninformers.Interface {
	return admissionGroup{configurations: f.configurations}
}
func (f factory) Core() coreinformers.Interface { return coreGroup{namespaces: f.namespaces} }

type admissionGroup struct {
	admissioninformers.Interface
	configurations *informer
}

func (g admissionGroup) V1() admissionv1informers.Interface {
	return admissionVersion{configurations: g.configurations}
}

type admissionVersion struct {
	admissionv1informers.Interface
	configurations *informer
}

func (v admissionVersion) MutatingWebhookConfigurations() admissionv1informers.TypedMutatingWebhookConfigurationInformer {
	return mutatingConfigurations{informer: v.configurations}
}
func (v admissionVersion) ValidatingWebhookConfigurations() admissionv1informers.TypedValidatingWebhookConfigurationInformer {
	return validatingConfigurations{informer: v.configurations}
}

type mutatingConfigurations struct {
	admissionv1informers.TypedMutatingWebhookConfigurationInformer
	informer *informer
}

func (c mutatingConfigurations) Informer() cache.SharedIndexInformer { return c.informer }
func (c mutatingConfigurations) Lister() admissionlisters.MutatingWebhookConfigurationLister {
	return admissionlisters.NewMutatingWebhookConfigurationLister(c.informer.GetIndexer())
}

type validatingConfigurations struct {
	admissionv1informers.TypedValidatingWebhookConfigurationInformer
	informer *informer
}

func (c validatingConfigurations) Informer() cache.SharedIndexInformer { return c.informer }
func (c validatingConfigurations) Lister() admissionlisters.ValidatingWebhookConfigurationLister {
	return admissionlisters.NewValidatingWebhookConfigurationLister(c.informer.GetIndexer())
}

type coreGroup struct {
	coreinformers.Interface
	namespaces Namespaces
}

func (g coreGroup) V1() corev1informers.Interface { return coreVersion{namespaces: g.namespaces} }

type coreVersion struct {
	corev1informers.Interface
	namespaces Namespaces
}

func (v coreVersion) Namespaces() corev1informers.TypedNamespaceInformer {
	return namespaceInformer{namespaces: v.namespaces}
}

type namespaceInformer struct {
	corev1informers.TypedNamespaceInformer
	namespaces Namespaces
}

func (i namespaceInformer) Informer() cache.SharedIndexInformer { return synced{} }
func (i namespaceInformer) Lister() corelisters.NamespaceLister {
	return namespaceLister{namespaces: i.namespaces}
}

// synced is an informer of which nothing is asked but whether it is synced.
type synced struct{ cache.SharedIndexInformer }

func (synced) HasSynced() bool { return true }

// namespaceLister finds namespaces in memory, else in storage. It does not list
// them: no caller does.
type namespaceLister struct {
	corelisters.NamespaceLister
	namespaces Namespaces
}

func (l namespaceLister) Get(name string) (*corev1.Namespace, error) {
	// The interface has no context; the storage is in this process.
	return l.namespaces.GetNamespace(context.Background(), name)
}

func (l namespaceLister) List(labels.Selector) ([]*corev1.Namespace, error) { return nil, nil }

// client is asked for a namespace that the lister did not find.
type client struct {
	kubernetes.Interface
	namespaces Namespaces
}

func (c client) CoreV1() corev1client.CoreV1Interface { return coreClient{namespaces: c.namespaces} }

type coreClient struct {
	corev1client.CoreV1Interface
	namespaces Namespaces
}

func (c coreClient) Namespaces() corev1client.NamespaceInterface {
	return namespaceClient{namespaces: c.namespaces}
}

type namespaceClient struct {
	corev1client.NamespaceInterface
	namespaces Namespaces
}

func (c namespaceClient) Get(ctx context.Context, name string, _ metav1.GetOptions) (*corev1.Namespace, error) {
	return c.namespaces.LiveNamespace(ctx, name)
}
