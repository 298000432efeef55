// Package controllerrevision serves apps/v1 ControllerRevisions.
//
// The API of this package is not stable: see docs/api.md.
package controllerrevision

import (
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/coracle-k8s/coracle/apis/apps"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*appsv1.ControllerRevision]{
		GVK:            appsv1.SchemeGroupVersion.WithKind("ControllerRevision"),
		Plural:         "controllerrevisions",
		New:            func() *appsv1.ControllerRevision { return &appsv1.ControllerRevision{} },
		NewList:        func() runtime.Object { return &appsv1.ControllerRevisionList{} },
		Validate:       registry.Pure(apps.ValidateControllerRevision),
		ValidateUpdate: registry.PureUpdate(apps.ValidateControllerRevisionUpdate),
		Table: &registry.Table[*appsv1.ControllerRevision]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Column("Controller"), registry.Column("Revision"), registry.Column("Age"),
			},
			Cells: func(r *appsv1.ControllerRevision, now time.Time) []any {
				return []any{r.Name, controller(r), r.Revision, registry.Age(r.CreationTimestamp, now)}
			},
		},
	}.Resource()
}

// controller returns the owner as kind.group/name.
func controller(r *appsv1.ControllerRevision) string {
	ref := metav1.GetControllerOf(r)
	if ref == nil {
		return registry.None
	}
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return ref.Name
	}
	return strings.ToLower(gv.WithKind(ref.Kind).GroupKind().String()) + "/" + ref.Name
}
