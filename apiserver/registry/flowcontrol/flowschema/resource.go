// Package flowschema serves flowcontrol.apiserver.k8s.io/v1 FlowSchemas.
//
// The API of this package is not stable: see docs/api.md.
package flowschema

import (
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/flowcontrol"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*flowcontrolv1.FlowSchema]{
		GVK:            flowcontrolv1.SchemeGroupVersion.WithKind("FlowSchema"),
		Plural:         "flowschemas",
		ClusterScoped:  true,
		New:            func() *flowcontrolv1.FlowSchema { return &flowcontrolv1.FlowSchema{} },
		NewList:        func() runtime.Object { return &flowcontrolv1.FlowSchemaList{} },
		Validate:       registry.Pure(flowcontrol.ValidateFlowSchema),
		ValidateUpdate: registry.PureUpdate(flowcontrol.ValidateFlowSchemaUpdate),
		Status:         &registry.Status[*flowcontrolv1.FlowSchema]{KeepMetadata: true, Prepare: registry.PutMetadataBack[*flowcontrolv1.FlowSchema], Validate: registry.PureUpdate(flowcontrol.ValidateFlowSchemaStatusUpdate)},
		Table: &registry.Table[*flowcontrolv1.FlowSchema]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Column("PriorityLevel"), registry.Column("MatchingPrecedence"),
				registry.Column("DistinguisherMethod"), registry.Column("Age"), registry.Column("MissingPL"),
			},
			Cells: func(fs *flowcontrolv1.FlowSchema, now time.Time) []any {
				method, dangling := registry.None, "?"
				if d := fs.Spec.DistinguisherMethod; d != nil {
					method = string(d.Type)
				}
				for _, c := range fs.Status.Conditions {
					if c.Type == flowcontrolv1.FlowSchemaConditionDangling {
						dangling = string(c.Status)
						break
					}
				}
				return []any{fs.Name, fs.Spec.PriorityLevelConfiguration.Name, int64(fs.Spec.MatchingPrecedence), method, registry.Age(fs.CreationTimestamp, now), dangling}
			},
		},
	}.Resource()
}
