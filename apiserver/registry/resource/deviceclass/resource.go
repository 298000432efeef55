// Package deviceclass serves resource.k8s.io/v1 DeviceClasses.
//
// The API of this package is not stable: see docs/api.md.
package deviceclass

import (
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/resource"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*resourcev1.DeviceClass]{
		GVK:            resourcev1.SchemeGroupVersion.WithKind("DeviceClass"),
		OtherVersions:  []string{"v1beta2", "v1beta1"},
		Plural:         "deviceclasses",
		ReturnDeleted:  true,
		ClusterScoped:  true,
		New:            func() *resourcev1.DeviceClass { return &resourcev1.DeviceClass{} },
		NewList:        func() runtime.Object { return &resourcev1.DeviceClassList{} },
		Validate:       registry.Pure(resource.ValidateDeviceClass),
		ValidateUpdate: registry.PureUpdate(resource.ValidateDeviceClassUpdate),
		Table: &registry.Table[*resourcev1.DeviceClass]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Column("Age")},
			Cells: func(c *resourcev1.DeviceClass, now time.Time) []any {
				return []any{c.Name, registry.Age(c.CreationTimestamp, now)}
			},
		},
	}.Resource()
}
