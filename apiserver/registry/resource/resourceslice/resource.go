// Package resourceslice serves resource.k8s.io/v1 ResourceSlices.
//
// The API of this package is not stable: see docs/api.md.
package resourceslice

import (
	"context"
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/resource"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*resourcev1.ResourceSlice]{
		GVK:           resourcev1.SchemeGroupVersion.WithKind("ResourceSlice"),
		OtherVersions: []string{"v1beta2", "v1beta1"},
		Plural:        "resourceslices",
		ReturnDeleted: true,
		ClusterScoped: true,
		New:           func() *resourcev1.ResourceSlice { return &resourcev1.ResourceSlice{} },
		NewList:       func() runtime.Object { return &resourcev1.ResourceSliceList{} },
		NoGeneration:  true,
		PrepareForCreate: func(_ context.Context, s *resourcev1.ResourceSlice) {
			s.Generation = 1
			resource.DropSlice(&s.Spec, nil)
		},
		PrepareForUpdate: func(_ context.Context, s, old *resourcev1.ResourceSlice) {
			// A field counts even if it is dropped, as upstream.
			if !equality.Semantic.DeepEqual(s.Spec, old.Spec) {
				s.Generation = old.Generation + 1
			}
			resource.DropSlice(&s.Spec, &old.Spec)
		},
		Validate:       registry.Pure(resource.ValidateResourceSlice),
		ValidateUpdate: registry.PureUpdate(resource.ValidateResourceSliceUpdate),
		Warnings: func(_ context.Context, s, _ *resourcev1.ResourceSlice) []string {
			return resource.ResourceSliceWarnings(s)
		},
		Fields: func(s *resourcev1.ResourceSlice) fields.Set {
			return fields.Set{
				resourcev1.ResourceSliceSelectorNodeName: ptr.Deref(s.Spec.NodeName, ""),
				resourcev1.ResourceSliceSelectorDriver:   s.Spec.Driver,
				resourcev1.ResourceSliceSelectorPoolName: s.Spec.Pool.Name,
			}
		},
		IndexedFields: []string{resourcev1.ResourceSliceSelectorNodeName},
		Table: &registry.Table[*resourcev1.ResourceSlice]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Column("Node"), registry.Column("Driver"), registry.Column("Pool"), registry.Column("Age"),
			},
			Cells: func(s *resourcev1.ResourceSlice, now time.Time) []any {
				return []any{s.Name, ptr.Deref(s.Spec.NodeName, ""), s.Spec.Driver, s.Spec.Pool.Name, registry.Age(s.CreationTimestamp, now)}
			},
		},
	}.Resource()
}
