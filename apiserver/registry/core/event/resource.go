// Package event serves core/v1 Events.
//
// The API of this package is not stable: see docs/api.md.
package event

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/coracle-k8s/coracle/apis/events"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// defaultTTL is how long an Event is kept after it was last written, in seconds,
// by a server that does not configure it.
const defaultTTL = 3600

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*corev1.Event]{
		GVK:                 corev1.SchemeGroupVersion.WithKind("Event"),
		Plural:              "events",
		ShortNames:          []string{"ev"},
		New:                 func() *corev1.Event { return &corev1.Event{} },
		NewList:             func() runtime.Object { return &corev1.EventList{} },
		AllowCreateOnUpdate: true,
		AnyFinalizer:        true,
		GarbageCollection:   func(context.Context) rest.GarbageCollectionPolicy { return rest.Unsupported },
		Validate: func(ctx context.Context, e *corev1.Event) field.ErrorList {
			return events.ValidateCreate(e, legacy(ctx))
		},
		ValidateUpdate: func(ctx context.Context, e, old *corev1.Event) field.ErrorList {
			return events.ValidateUpdate(e, old, legacy(ctx))
		},
		Fields: selectable,
		Extend: func(env registry.Env, store *genericregistry.Store, _ map[string]rest.Storage) error {
			ttl := uint64(env.EventTTL.Seconds())
			if ttl == 0 {
				ttl = defaultTTL
			}
			store.TTLFunc = func(runtime.Object, uint64, bool) (uint64, error) { return ttl, nil }
			return nil
		},
		Table: table(),
	}.Resource()
}

// legacy reports whether the request came through core/v1, which asks for less
// than events.k8s.io/v1.
func legacy(ctx context.Context) bool {
	info, ok := request.RequestInfoFrom(ctx)
	return !ok || info.APIGroup == ""
}

func selectable(e *corev1.Event) fields.Set {
	source := e.Source.Component
	if source == "" {
		source = e.ReportingController
	}
	return fields.Set{
		"involvedObject.kind":            e.InvolvedObject.Kind,
		"involvedObject.namespace":       e.InvolvedObject.Namespace,
		"involvedObject.name":            e.InvolvedObject.Name,
		"involvedObject.uid":             string(e.InvolvedObject.UID),
		"involvedObject.apiVersion":      e.InvolvedObject.APIVersion,
		"involvedObject.resourceVersion": e.InvolvedObject.ResourceVersion,
		"involvedObject.fieldPath":       e.InvolvedObject.FieldPath,
		"reason":                         e.Reason,
		"reportingComponent":             e.ReportingController,
		"source":                         source,
		"type":                           e.Type,
	}
}

func table() *registry.Table[*corev1.Event] {
	return &registry.Table[*corev1.Event]{
		Columns: []metav1.TableColumnDefinition{
			registry.Column("Last Seen"), registry.Column("Type"), registry.Column("Reason"), registry.Column("Object"),
			registry.Wide(registry.Column("Subobject")), registry.Wide(registry.Column("Source")), registry.Column("Message"),
			registry.Wide(registry.Column("First Seen")), registry.Wide(registry.Column("Count")), registry.Wide(registry.NameColumn()),
		},
		Cells: cells,
	}
}

func cells(e *corev1.Event, now time.Time) []any {
	first := registry.Age(e.FirstTimestamp, now)
	if e.FirstTimestamp.IsZero() {
		first = microAge(e.EventTime, now)
	}
	last := first
	if !e.LastTimestamp.IsZero() {
		last = registry.Age(e.LastTimestamp, now)
	}
	count := e.Count
	switch {
	case e.Series != nil:
		last, count = microAge(e.Series.LastObservedTime, now), e.Series.Count
	case count == 0:
		count = 1
	}
	object := strings.ToLower(e.InvolvedObject.Kind)
	if e.InvolvedObject.Name != "" {
		object += "/" + e.InvolvedObject.Name
	}
	return []any{last, e.Type, e.Reason, object, e.InvolvedObject.FieldPath, source(e), strings.TrimSpace(e.Message), first, int64(count), e.Name}
}

func source(e *corev1.Event) string {
	component, host := e.Source.Component, e.Source.Host
	if component == "" {
		component = e.ReportingController
	}
	if host == "" {
		host = e.ReportingInstance
	}
	if host == "" {
		return component
	}
	return fmt.Sprintf("%s, %s", component, host)
}

func microAge(t metav1.MicroTime, now time.Time) string {
	if t.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(t.Time))
}
