// Package componentstatus serves core/v1 ComponentStatuses, the old way to ask
// how a control plane does. They are stored nowhere.
//
// The API of this package is not stable: see docs/api.md.
package componentstatus

import (
	"context"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return &registry.Resource{
		GVK: corev1.SchemeGroupVersion.WithKind("ComponentStatus"), Plural: "componentstatuses", Singular: "componentstatus",
		ShortNames: []string{"cs"}, ClusterScoped: true, Verbs: []string{"get", "list"},
		Build: func(env registry.Env) (map[string]rest.Storage, error) {
			return map[string]rest.Storage{"": &statuses{TableConvertor: table().Convertor(env.Clock), components: env.Components}}, nil
		},
	}
}

func table() *registry.Table[*corev1.ComponentStatus] {
	return &registry.Table[*corev1.ComponentStatus]{
		Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Column("Status"), registry.Column("Message"), registry.Column("Error")},
		Cells: func(s *corev1.ComponentStatus, _ time.Time) []any {
			for _, c := range s.Conditions {
				if c.Type == corev1.ComponentHealthy {
					if c.Status == corev1.ConditionTrue {
						return []any{s.Name, "Healthy", c.Message, c.Error}
					}
					return []any{s.Name, "Unhealthy", c.Message, c.Error}
				}
			}
			return []any{s.Name, "Unknown", "", ""}
		},
	}
}

type statuses struct {
	rest.TableConvertor
	components map[string]func(context.Context) error
}

var (
	_ rest.Lister             = &statuses{}
	_ rest.Getter             = &statuses{}
	_ rest.ShortNamesProvider = &statuses{}
)

// New implements rest.Storage.
func (*statuses) New() runtime.Object { return &corev1.ComponentStatus{} }

// NewList implements rest.Lister.
func (*statuses) NewList() runtime.Object { return &corev1.ComponentStatusList{} }

// Destroy implements rest.Storage.
func (*statuses) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (*statuses) NamespaceScoped() bool { return false }

// GetSingularName implements rest.SingularNameProvider.
func (*statuses) GetSingularName() string { return "componentstatus" }

// ShortNames implements rest.ShortNamesProvider.
func (*statuses) ShortNames() []string { return []string{"cs"} }

// Get implements rest.Getter.
func (s *statuses) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	check, ok := s.components[name]
	if !ok {
		return nil, apierrors.NewNotFound(corev1.Resource("componentstatus"), name)
	}
	status := ask(ctx, name, check)
	return &status, nil
}

// List implements rest.Lister.
func (s *statuses) List(ctx context.Context, o *internalversion.ListOptions) (runtime.Object, error) {
	list := &corev1.ComponentStatusList{Items: []corev1.ComponentStatus{}}
	for _, name := range slices.Sorted(maps.Keys(s.components)) {
		if selected(name, o) {
			list.Items = append(list.Items, ask(ctx, name, s.components[name]))
		}
	}
	return list, nil
}

// selected goes by the name alone: there are no labels.
func selected(name string, o *internalversion.ListOptions) bool {
	if o == nil {
		return true
	}
	if o.LabelSelector != nil && !o.LabelSelector.Matches(labels.Set{}) {
		return false
	}
	return o.FieldSelector == nil || o.FieldSelector.Matches(fields.Set{"metadata.name": name, "metadata.namespace": ""})
}

func ask(ctx context.Context, name string, check func(context.Context) error) corev1.ComponentStatus {
	c := corev1.ComponentCondition{Type: corev1.ComponentHealthy, Status: corev1.ConditionTrue, Message: "ok"}
	if err := check(ctx); err != nil {
		c.Status, c.Message, c.Error = corev1.ConditionFalse, "", err.Error()
	}
	return corev1.ComponentStatus{ObjectMeta: metav1.ObjectMeta{Name: name}, Conditions: []corev1.ComponentCondition{c}}
}
