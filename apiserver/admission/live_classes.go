package admission

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/coracle-k8s/coracle/apiserver/auth/mirror"
)

// classes are the mirrors of kinds that others refer to by name.
type classes struct {
	storage *mirror.Mirror[*storagev1.StorageClass]
	ingress *mirror.Mirror[*networkingv1.IngressClass]
	runtime *mirror.Mirror[*nodev1.RuntimeClass]
	nodes   *mirror.Mirror[*corev1.Node]
}

func resource(group, name string) schema.GroupResource {
	return schema.GroupResource{Group: group, Resource: name}
}

func newClasses(c LiveConfig) classes {
	return classes{
		storage: mirror.New[*storagev1.StorageClass](c.Watch(resource(storagev1.GroupName, "storageclasses")), nil),
		ingress: mirror.New[*networkingv1.IngressClass](c.Watch(resource(networkingv1.GroupName, "ingressclasses")), nil),
		runtime: mirror.New[*nodev1.RuntimeClass](c.Watch(resource(nodev1.GroupName, "runtimeclasses")), nil),
		nodes: mirror.NewTrimmed(c.Watch(corev1.Resource("nodes")), nil, func(n *corev1.Node) *corev1.Node {
			return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name, ResourceVersion: n.ResourceVersion, Labels: n.Labels}}
		}),
	}
}

func (c classes) run() []func(context.Context) error {
	return []func(context.Context) error{c.storage.Run, c.ingress.Run, c.runtime.Run, c.nodes.Run}
}

// named finds an object: from memory, else from storage.
func named[T mirror.Object](ctx context.Context, l *Live, m *mirror.Mirror[T], gr schema.GroupResource, name string) (T, bool, error) {
	m.Demand()
	if obj, ok := m.Get("", name); ok {
		return obj, true, nil
	}
	var none T
	obj, err := live[T](ctx, l, gr, "", name)
	if apierrors.IsNotFound(err) {
		return none, false, nil
	}
	return obj, err == nil, err
}

func listed[T mirror.Object](ctx context.Context, m *mirror.Mirror[T]) ([]T, error) {
	if err := m.Sync(ctx); err != nil {
		return nil, err
	}
	return m.List(), nil
}

// StorageClass finds a class.
func (l *Live) StorageClass(ctx context.Context, name string) (*storagev1.StorageClass, bool, error) {
	return named(ctx, l, l.classes.storage, resource(storagev1.GroupName, "storageclasses"), name)
}

// StorageClasses gives all classes.
func (l *Live) StorageClasses(ctx context.Context) ([]*storagev1.StorageClass, error) {
	return listed(ctx, l.classes.storage)
}

// IngressClasses gives all classes.
func (l *Live) IngressClasses(ctx context.Context) ([]*networkingv1.IngressClass, error) {
	return listed(ctx, l.classes.ingress)
}

// RuntimeClass finds a class.
func (l *Live) RuntimeClass(ctx context.Context, name string) (*nodev1.RuntimeClass, bool, error) {
	return named(ctx, l, l.classes.runtime, resource(nodev1.GroupName, "runtimeclasses"), name)
}

// NodeLabels gives the labels of a node, nil if there is no such node.
func (l *Live) NodeLabels(ctx context.Context, name string) (map[string]string, error) {
	node, ok, err := named(ctx, l, l.classes.nodes, corev1.Resource("nodes"), name)
	if err != nil || !ok {
		return nil, err
	}
	return node.Labels, nil
}
