// Package resourcequota serves core/v1 ResourceQuotas.
//
// The API of this package is not stable: see docs/api.md.
package resourcequota

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	corevalidation "github.com/coracle-k8s/coracle/apis/core/validation"
	corewarnings "github.com/coracle-k8s/coracle/apis/core/warnings"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*corev1.ResourceQuota]{
		GVK:           corev1.SchemeGroupVersion.WithKind("ResourceQuota"),
		Plural:        "resourcequotas",
		ReturnDeleted: true,
		ShortNames:    []string{"quota"},
		New:           func() *corev1.ResourceQuota { return &corev1.ResourceQuota{} },
		NewList:       func() runtime.Object { return &corev1.ResourceQuotaList{} },
		NoGeneration:  true,
		Warnings: func(_ context.Context, q, old *corev1.ResourceQuota) []string {
			if old != nil {
				return nil
			}
			return corewarnings.QuotaWarnings(q)
		},
		Validate:       registry.Pure(corevalidation.ValidateResourceQuota),
		ValidateUpdate: registry.PureUpdate(corevalidation.ValidateResourceQuotaUpdate),
		Status:         &registry.Status[*corev1.ResourceQuota]{Validate: registry.PureUpdate(corevalidation.ValidateResourceQuotaStatusUpdate)},
		Table: &registry.Table[*corev1.ResourceQuota]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Column("Request"), registry.Column("Limit"), registry.Column("Age")},
			Cells: func(q *corev1.ResourceQuota, now time.Time) []any {
				requests, limits := usage(&q.Status)
				return []any{q.Name, requests, limits, registry.Age(q.CreationTimestamp, now)}
			},
		},
	}.Resource()
}

// usage writes "name: used/hard" of every resource, limits apart from the rest.
func usage(s *corev1.ResourceQuotaStatus) (requests, limits string) {
	var names []corev1.ResourceName
	for name := range s.Hard {
		names = append(names, name)
	}
	slices.SortFunc(names, cmp.Compare[corev1.ResourceName])
	var r, l []string
	for _, name := range names {
		used, hard := s.Used[name], s.Hard[name]
		cell := fmt.Sprintf("%s: %s/%s", name, used.String(), hard.String())
		if strings.HasPrefix(string(name), "limits") {
			l = append(l, cell)
		} else {
			r = append(r, cell)
		}
	}
	return strings.Join(r, ", "), strings.Join(l, ", ")
}
