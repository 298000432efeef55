// Package prioritylevelconfiguration serves flowcontrol.apiserver.k8s.io/v1
// PriorityLevelConfigurations.
//
// The API of this package is not stable: see docs/api.md.
package prioritylevelconfiguration

import (
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/flowcontrol"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*flowcontrolv1.PriorityLevelConfiguration]{
		GVK:            flowcontrolv1.SchemeGroupVersion.WithKind("PriorityLevelConfiguration"),
		Plural:         "prioritylevelconfigurations",
		ClusterScoped:  true,
		New:            func() *flowcontrolv1.PriorityLevelConfiguration { return &flowcontrolv1.PriorityLevelConfiguration{} },
		NewList:        func() runtime.Object { return &flowcontrolv1.PriorityLevelConfigurationList{} },
		Validate:       registry.Pure(flowcontrol.ValidatePriorityLevelConfiguration),
		ValidateUpdate: registry.PureUpdate(flowcontrol.ValidatePriorityLevelConfigurationUpdate),
		Status: &registry.Status[*flowcontrolv1.PriorityLevelConfiguration]{
			KeepMetadata: true,
			Prepare:      registry.PutMetadataBack[*flowcontrolv1.PriorityLevelConfiguration],
			Validate:     registry.PureUpdate(flowcontrol.ValidatePriorityLevelConfigurationStatusUpdate),
		},
		Table: &registry.Table[*flowcontrolv1.PriorityLevelConfiguration]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Column("Type"), registry.Column("NominalConcurrencyShares"), registry.Column("Queues"),
				registry.Column("HandSize"), registry.Column("QueueLengthLimit"), registry.Column("Age"),
			},
			Cells: func(pl *flowcontrolv1.PriorityLevelConfiguration, now time.Time) []any {
				cells := []any{pl.Name, string(pl.Spec.Type), registry.None, registry.None, registry.None, registry.None, registry.Age(pl.CreationTimestamp, now)}
				if l := pl.Spec.Limited; l != nil {
					cells[2] = int64(ptr.Deref(l.NominalConcurrencyShares, 0))
					if q := l.LimitResponse.Queuing; q != nil {
						cells[3], cells[4], cells[5] = int64(q.Queues), int64(q.HandSize), int64(q.QueueLengthLimit)
					}
				}
				return cells
			},
		},
	}.Resource()
}
