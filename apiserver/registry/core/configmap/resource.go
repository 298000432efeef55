// Package configmap serves core/v1 ConfigMaps.
//
// The API of this package is not stable: see docs/api.md.
package configmap

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	corevalidation "github.com/coracle-k8s/coracle/apis/core/validation"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*corev1.ConfigMap]{
		GVK:            corev1.SchemeGroupVersion.WithKind("ConfigMap"),
		Plural:         "configmaps",
		ShortNames:     []string{"cm"},
		New:            func() *corev1.ConfigMap { return &corev1.ConfigMap{} },
		NewList:        func() runtime.Object { return &corev1.ConfigMapList{} },
		Validate:       registry.Pure(corevalidation.ValidateConfigMap),
		ValidateUpdate: registry.PureUpdate(corevalidation.ValidateConfigMapUpdate),
		Table: &registry.Table[*corev1.ConfigMap]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Column("Data"), registry.Column("Age")},
			Cells: func(c *corev1.ConfigMap, now time.Time) []any {
				return []any{c.Name, int64(len(c.Data) + len(c.BinaryData)), registry.Age(c.CreationTimestamp, now)}
			},
		},
	}.Resource()
}
