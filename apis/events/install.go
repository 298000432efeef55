// Package events installs the events.k8s.io group over core/v1 Events: core's
// Event is its hub, so that both groups show the same stored objects.
//
// The API of this package is not stable: see docs/api.md.
package events

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Install registers events.k8s.io/v1, its hub (core/v1 Event), the
// conversions between them and the field labels in s.
func Install(s *runtime.Scheme) error {
	if err := eventsv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", eventsv1.SchemeGroupVersion, err)
	}
	hub := schema.GroupVersion{Group: eventsv1.GroupName, Version: runtime.APIVersionInternal}
	s.AddKnownTypes(hub, &corev1.Event{}, &corev1.EventList{})
	if err := addConversions(s); err != nil {
		return fmt.Errorf("registering conversions of %s: %w", eventsv1.SchemeGroupVersion, err)
	}
	return s.AddFieldLabelConversionFunc(eventsv1.SchemeGroupVersion.WithKind("Event"), fieldLabel)
}

// fieldLabel maps the fields of an events.k8s.io/v1 Event to those of the hub.
func fieldLabel(label, value string) (string, string, error) {
	mapped, ok := map[string]string{
		"reason":                    "reason",
		"regarding.kind":            "involvedObject.kind",
		"regarding.namespace":       "involvedObject.namespace",
		"regarding.name":            "involvedObject.name",
		"regarding.uid":             "involvedObject.uid",
		"regarding.apiVersion":      "involvedObject.apiVersion",
		"regarding.resourceVersion": "involvedObject.resourceVersion",
		"regarding.fieldPath":       "involvedObject.fieldPath",
		"reportingController":       "reportingComponent",
		"type":                      "type",
		"metadata.namespace":        "metadata.namespace",
		"metadata.name":             "metadata.name",
	}[label]
	if !ok {
		return "", "", fmt.Errorf("field label not supported: %s", label)
	}
	return mapped, value, nil
}
