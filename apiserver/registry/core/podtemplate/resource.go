// Package podtemplate serves core/v1 PodTemplates.
//
// The API of this package is not stable: see docs/api.md.
package podtemplate

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core"
	corevalidation "github.com/coracle-k8s/coracle/apis/core/validation"
	corewarnings "github.com/coracle-k8s/coracle/apis/core/warnings"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*corev1.PodTemplate]{
		GVK:           corev1.SchemeGroupVersion.WithKind("PodTemplate"),
		Plural:        "podtemplates",
		ReturnDeleted: true,
		New:           func() *corev1.PodTemplate { return &corev1.PodTemplate{} },
		NewList:       func() runtime.Object { return &corev1.PodTemplateList{} },
		PrepareForCreate: func(_ context.Context, t *corev1.PodTemplate) {
			t.Generation = 1
			core.DropDisabledTemplateFields(&t.Template, nil)
		},
		PrepareForUpdate: func(_ context.Context, t, old *corev1.PodTemplate) {
			core.DropDisabledTemplateFields(&t.Template, &old.Template)
			t.Generation = old.Generation
			if !equality.Semantic.DeepEqual(t.Template, old.Template) {
				t.Generation++
			}
		},
		Warnings: func(_ context.Context, t, old *corev1.PodTemplate) []string {
			if old != nil && t.Generation == old.Generation {
				return nil
			}
			return corewarnings.PodTemplateWarnings(&t.Template, nil, field.NewPath("template"))
		},
		Validate:       registry.Pure(corevalidation.ValidatePodTemplate),
		ValidateUpdate: registry.PureUpdate(corevalidation.ValidatePodTemplateUpdate),
		Table: &registry.Table[*corev1.PodTemplate]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Column("Containers"), registry.Column("Images"), registry.Column("Pod Labels"),
			},
			Cells: func(t *corev1.PodTemplate, _ time.Time) []any {
				names, images := registry.Containers(t.Template.Spec.Containers)
				return []any{t.Name, names, images, labels.FormatLabels(t.Template.Labels)}
			},
		},
	}.Resource()
}
