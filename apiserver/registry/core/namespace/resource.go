// Package namespace serves core/v1 Namespaces.
//
// Deleting a Namespace only marks it Terminating. The namespace controller
// empties it and then takes away spec.finalizers through the finalize
// subresource, and with the last of them the Namespace goes.
//
// The API of this package is not stable: see docs/api.md.
package namespace

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	corevalidation "github.com/coracle-k8s/coracle/apis/core/validation"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	kind := registry.Kind[*corev1.Namespace]{
		GVK:              corev1.SchemeGroupVersion.WithKind("Namespace"),
		Plural:           "namespaces",
		ShortNames:       []string{"ns"},
		ClusterScoped:    true,
		New:              func() *corev1.Namespace { return &corev1.Namespace{} },
		NewList:          func() runtime.Object { return &corev1.NamespaceList{} },
		NoGeneration:     true,
		PrepareForCreate: prepareForCreate,
		PrepareForUpdate: func(_ context.Context, ns, old *corev1.Namespace) { ns.Spec.Finalizers = old.Spec.Finalizers },
		Validate:         registry.Pure(corevalidation.ValidateNamespace),
		ValidateUpdate:   registry.PureUpdate(corevalidation.ValidateNamespaceUpdate),
		Canonicalize:     labelWithName,
		Fields:           func(ns *corev1.Namespace) fields.Set { return fields.Set{"status.phase": string(ns.Status.Phase)} },
		Table: &registry.Table[*corev1.Namespace]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Column("Status"), registry.Column("Age")},
			Cells: func(ns *corev1.Namespace, now time.Time) []any {
				return []any{ns.Name, string(ns.Status.Phase), registry.Age(ns.CreationTimestamp, now)}
			},
		},
		Status: &registry.Status[*corev1.Namespace]{Validate: registry.PureUpdate(corevalidation.ValidateNamespaceStatusUpdate)},
		Subresources: []registry.Subresource{
			{Name: "finalize", GVK: corev1.SchemeGroupVersion.WithKind("Namespace"), Verbs: []string{"update"}},
		},
		Configure: func(store *genericregistry.Store) {
			store.ReturnDeletedObject = true
			store.ShouldDeleteDuringUpdate = func(ctx context.Context, key string, obj, old runtime.Object) bool {
				return len(obj.(*corev1.Namespace).Spec.Finalizers) == 0 && genericregistry.ShouldDeleteDuringUpdate(ctx, key, obj, old)
			}
		},
		Extend: func(env registry.Env, store *genericregistry.Store, storages map[string]rest.Storage) error {
			storages[""] = &namespaceStorage{Wrapped: registry.Wrapped{Store: store}, clock: env.Clock}
			storages["finalize"] = finalizeStorage{registry.NewSubStorage(store, finalizeStrategy{store.UpdateStrategy})}
			return nil
		},
	}
	r := kind.Resource()
	r.Verbs = slices.DeleteFunc(r.Verbs, func(verb string) bool { return verb == "deletecollection" })
	return r
}

// prepareForCreate makes the namespace active and keeps it from going before
// its content is gone.
func prepareForCreate(_ context.Context, ns *corev1.Namespace) {
	ns.Status = corev1.NamespaceStatus{Phase: corev1.NamespaceActive}
	if !slices.Contains(ns.Spec.Finalizers, corev1.FinalizerKubernetes) {
		ns.Spec.Finalizers = append(ns.Spec.Finalizers, corev1.FinalizerKubernetes)
	}
}

// labelWithName covers names that generateName made after defaulting.
func labelWithName(ns *corev1.Namespace) {
	if ns.Labels == nil {
		ns.Labels = map[string]string{}
	}
	ns.Labels[corev1.LabelMetadataName] = ns.Name
}
