// Package devicetaintrule serves resource.k8s.io/v1 DeviceTaintRules.
//
// The API of this package is not stable: see docs/api.md.
package devicetaintrule

import (
	"context"
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/resource"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*resourcev1.DeviceTaintRule]{
		GVK:                    resourcev1.SchemeGroupVersion.WithKind("DeviceTaintRule"),
		OtherVersions:          []string{"v1beta2", "v1alpha3"},
		OthersReturnDeleted:    true,
		Plural:                 "devicetaintrules",
		ClusterScoped:          true,
		RequireResourceVersion: true,
		New:                    func() *resourcev1.DeviceTaintRule { return &resourcev1.DeviceTaintRule{} },
		NewList:                func() runtime.Object { return &resourcev1.DeviceTaintRuleList{} },
		PrepareForUpdate: func(_ context.Context, r, old *resourcev1.DeviceTaintRule) {
			// A changed effect begins now, unless the client sets the time.
			if r.Spec.Taint.Effect != old.Spec.Taint.Effect && r.Spec.Taint.TimeAdded.Equal(old.Spec.Taint.TimeAdded) {
				r.Spec.Taint.TimeAdded = &metav1.Time{Time: time.Now().Truncate(time.Second)}
			}
		},
		Validate:       registry.Pure(resource.ValidateDeviceTaintRule),
		ValidateUpdate: registry.PureUpdate(resource.ValidateDeviceTaintRuleUpdate),
		Table: &registry.Table[*resourcev1.DeviceTaintRule]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Column("Key"), registry.Column("Value"), registry.Column("Effect"), registry.Column("TimeAdded"), registry.Column("Age"),
			},
			Cells: func(r *resourcev1.DeviceTaintRule, now time.Time) []any {
				taint, added := r.Spec.Taint, ""
				if taint.TimeAdded != nil {
					added = registry.Age(*taint.TimeAdded, now)
				}
				return []any{r.Name, taint.Key, taint.Value, string(taint.Effect), added, registry.Age(r.CreationTimestamp, now)}
			},
		},
		Status: &registry.Status[*resourcev1.DeviceTaintRule]{
			KeepMetadata: true,
			Validate:     registry.PureUpdate(resource.ValidateDeviceTaintRuleStatusUpdate),
		},
	}.Resource()
}
