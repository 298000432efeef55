package admission

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"github.com/coracle-k8s/coracle/apiserver/admission/serviceaccount"
	"github.com/coracle-k8s/coracle/apiserver/auth/mirror"
)

// LiveConfig holds the sources of Live's objects.
type LiveConfig struct {
	// Watch lists and watches a resource in all namespaces.
	Watch func(schema.GroupResource) cache.ListerWatcher
	// Get reads one object of a resource from storage, not from a cache that
	// may be behind; namespace is empty for cluster-scoped ones.
	Get func(ctx context.Context, resource schema.GroupResource, namespace, name string) (runtime.Object, error)
	// ListPods gives the pods of a namespace.
	ListPods func(ctx context.Context, namespace string) ([]*corev1.Pod, error)
	// UpdateQuotaStatus writes the status subresource of a ResourceQuota.
	UpdateQuotaStatus func(ctx context.Context, q *corev1.ResourceQuota) (*corev1.ResourceQuota, error)
	// CreateNamespace stores a new namespace; only NamespaceAutoProvision asks
	// for it.
	CreateNamespace func(ctx context.Context, name string) error
	// PriorityClasses is set if the server has the scheduling.k8s.io group.
	PriorityClasses bool
}

// Live gives the plugins the objects they ask for. Its watches start with the
// first question each; the question waits for that one list, and nothing
// polls. Run must be running.
type Live struct {
	config          LiveConfig
	namespaces      *mirror.Mirror[*corev1.Namespace]
	limitRanges     *mirror.Mirror[*corev1.LimitRange]
	serviceAccounts *mirror.Mirror[*corev1.ServiceAccount]
	quotas          *mirror.Mirror[*corev1.ResourceQuota]
	priorityClasses *mirror.Mirror[*schedulingv1.PriorityClass] // nil without the group
	classes         classes
}

// defaultAccountPatience is how long a pod waits for the account default of its
// namespace; upstream tries for one to two seconds.
const defaultAccountPatience = 2 * time.Second

const byNamespace = "namespace"

// NewLive makes a Live; nothing runs yet.
func NewLive(c LiveConfig) *Live {
	get := c.Get
	c.Get = func(ctx context.Context, gr schema.GroupResource, namespace, name string) (runtime.Object, error) {
		if name == "" || len(content.IsPathSegmentName(name)) > 0 {
			// Admission comes before validation: objects refer to what no object can be called.
			return nil, apierrors.NewNotFound(gr, name)
		}
		return get(ctx, gr, namespace, name)
	}
	l := &Live{
		config:          c,
		namespaces:      mirror.New[*corev1.Namespace](c.Watch(corev1.Resource("namespaces")), nil),
		limitRanges:     mirror.New(c.Watch(corev1.Resource("limitranges")), indexed[*corev1.LimitRange]()),
		serviceAccounts: mirror.New[*corev1.ServiceAccount](c.Watch(corev1.Resource("serviceaccounts")), nil),
		quotas:          mirror.New(c.Watch(corev1.Resource("resourcequotas")), indexed[*corev1.ResourceQuota]()),
		classes:         newClasses(c),
	}
	if c.PriorityClasses {
		l.priorityClasses = mirror.New[*schedulingv1.PriorityClass](c.Watch(schema.GroupResource{Group: schedulingv1.GroupName, Resource: "priorityclasses"}), nil)
	}
	return l
}

func indexed[T mirror.Object]() map[string]mirror.Index[T] {
	return map[string]mirror.Index[T]{byNamespace: func(o T) []string { return []string{o.GetNamespace()} }}
}

// Run feeds Live until ctx is done.
func (l *Live) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	all := append(l.classes.run(), l.namespaces.Run, l.limitRanges.Run, l.serviceAccounts.Run, l.quotas.Run)
	for _, run := range all {
		g.Go(func() error { return run(ctx) })
	}
	if l.priorityClasses != nil {
		g.Go(func() error { return l.priorityClasses.Run(ctx) })
	}
	return g.Wait()
}

// Warm starts the watches that every new pod needs, without waiting, so that
// the first pod does not pay for them.
func (l *Live) Warm() {
	l.namespaces.Demand()
	l.limitRanges.Demand()
	l.serviceAccounts.Demand()
	l.quotas.Demand()
}

// CachedNamespace answers from memory, once the watch that it starts has seen
// the namespace.
func (l *Live) CachedNamespace(name string) (*corev1.Namespace, bool) {
	l.namespaces.Demand()
	return l.namespaces.Get("", name)
}

// LiveNamespace asks the storage.
func (l *Live) LiveNamespace(ctx context.Context, name string) (*corev1.Namespace, error) {
	return live[*corev1.Namespace](ctx, l, corev1.Resource("namespaces"), "", name)
}

// GetNamespace answers from memory, or else from storage.
func (l *Live) GetNamespace(ctx context.Context, name string) (*corev1.Namespace, error) {
	if ns, ok := l.CachedNamespace(name); ok {
		return ns, nil
	}
	return l.LiveNamespace(ctx, name)
}

// CreateNamespace stores a new namespace.
func (l *Live) CreateNamespace(ctx context.Context, name string) error {
	return l.config.CreateNamespace(ctx, name)
}

// LivePod asks the storage.
func (l *Live) LivePod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	return live[*corev1.Pod](ctx, l, corev1.Resource("pods"), namespace, name)
}

// LiveNode asks the storage.
func (l *Live) LiveNode(ctx context.Context, name string) (*corev1.Node, error) {
	return live[*corev1.Node](ctx, l, corev1.Resource("nodes"), "", name)
}

// LiveObject asks the storage for an object of any kind.
func (l *Live) LiveObject(ctx context.Context, gr schema.GroupResource, namespace, name string) (runtime.Object, error) {
	return l.config.Get(ctx, gr, namespace, name)
}

// ListPods gives the pods of a namespace.
func (l *Live) ListPods(ctx context.Context, namespace string) ([]*corev1.Pod, error) {
	return l.config.ListPods(ctx, namespace)
}

func live[T runtime.Object](ctx context.Context, l *Live, gr schema.GroupResource, namespace, name string) (T, error) {
	var none T
	obj, err := l.config.Get(ctx, gr, namespace, name)
	if err != nil {
		return none, err
	}
	typed, ok := obj.(T)
	if !ok {
		return none, fmt.Errorf("reading %s %s/%s: got %T", gr, namespace, name, obj)
	}
	return typed, nil
}

// ServiceAccount gives an account, or a NotFound error. It waits for the
// account default, which the controller makes in every new namespace.
func (l *Live) ServiceAccount(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
	l.serviceAccounts.Demand()
	if account, ok := l.serviceAccounts.Get(namespace, name); ok {
		return account, nil
	}
	account, err := live[*corev1.ServiceAccount](ctx, l, corev1.Resource("serviceaccounts"), namespace, name)
	if !apierrors.IsNotFound(err) || name != serviceaccount.DefaultName {
		return account, notFoundAsListed(err, name)
	}
	soon, cancel := context.WithTimeout(ctx, defaultAccountPatience)
	defer cancel()
	waited := l.serviceAccounts.Wait(soon, func() bool {
		_, ok := l.serviceAccounts.Get(namespace, name)
		return ok
	})
	if waited == nil {
		if account, ok := l.serviceAccounts.Get(namespace, name); ok {
			return account, nil
		}
	}
	return nil, notFoundAsListed(err, name)
}

// notFoundAsListed returns serviceaccount "x" not found, as upstream's lister
// does, in place of storage's error, which names serviceaccounts.
func notFoundAsListed(err error, name string) error {
	if apierrors.IsNotFound(err) {
		return apierrors.NewNotFound(corev1.Resource("serviceaccount"), name)
	}
	return err
}

// LimitRanges gives those of the namespace by name.
func (l *Live) LimitRanges(ctx context.Context, namespace string) ([]*corev1.LimitRange, error) {
	return inNamespace(ctx, l.limitRanges, namespace)
}

// ResourceQuotas gives those of the namespace by name.
func (l *Live) ResourceQuotas(ctx context.Context, namespace string) ([]*corev1.ResourceQuota, error) {
	return inNamespace(ctx, l.quotas, namespace)
}

func inNamespace[T mirror.Object](ctx context.Context, m *mirror.Mirror[T], namespace string) ([]T, error) {
	if err := m.Sync(ctx); err != nil {
		return nil, err
	}
	found := m.ByIndex(byNamespace, namespace)
	if len(found) < 2 {
		return found, nil
	}
	found = slices.Clone(found)
	slices.SortFunc(found, func(a, b T) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return found, nil
}

// UpdateQuotaStatus charges a quota.
func (l *Live) UpdateQuotaStatus(ctx context.Context, q *corev1.ResourceQuota) (*corev1.ResourceQuota, error) {
	if l.config.UpdateQuotaStatus == nil {
		return nil, errors.New("charging a quota: this server does not store quotas")
	}
	return l.config.UpdateQuotaStatus(ctx, q)
}

// LatestQuota gives a quota from storage.
func (l *Live) LatestQuota(ctx context.Context, namespace, name string) (*corev1.ResourceQuota, error) {
	got, err := l.config.Get(ctx, resource("", "resourcequotas"), namespace, name)
	if err != nil {
		return nil, err
	}
	q, ok := got.(*corev1.ResourceQuota)
	if !ok {
		return nil, fmt.Errorf("reading quota %s/%s: %T is none", namespace, name, got)
	}
	return q, nil
}

// PriorityClass finds a class: from memory, else from storage.
func (l *Live) PriorityClass(ctx context.Context, name string) (*schedulingv1.PriorityClass, bool, error) {
	if l.priorityClasses == nil {
		return nil, false, nil
	}
	return named(ctx, l, l.priorityClasses, resource(schedulingv1.GroupName, "priorityclasses"), name)
}

// PriorityClasses gives all classes.
func (l *Live) PriorityClasses(ctx context.Context) ([]*schedulingv1.PriorityClass, error) {
	if l.priorityClasses == nil {
		return nil, nil
	}
	if err := l.priorityClasses.Sync(ctx); err != nil {
		return nil, err
	}
	return l.priorityClasses.List(), nil
}
