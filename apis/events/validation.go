package events

import (
	"fmt"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	corevalidation "github.com/coracle-k8s/coracle/apis/core/validation"
	"github.com/coracle-k8s/coracle/apis/hub"
)

// Limits of the events.k8s.io API.
const (
	maxReportingInstance = 128
	maxAction            = 128
	maxReason            = 128
	maxNote              = 1024
)

// ValidateCreate validates a new Event that came through core/v1 (legacy) or
// events.k8s.io/v1, which asks for more.
func ValidateCreate(e *corev1.Event, legacy bool) field.ErrorList {
	errs := validateEvent(e, legacy)
	if legacy {
		return errs
	}
	errs = append(errs, validateMeta(&e.ObjectMeta)...)
	errs = append(errs, validateSeries(e)...)
	if e.EventTime.IsZero() {
		errs = append(errs, field.Required(field.NewPath("eventTime"), ""))
	}
	if e.Type != corev1.EventTypeNormal && e.Type != corev1.EventTypeWarning {
		errs = append(errs, field.Invalid(field.NewPath("type"), "", fmt.Sprintf("has invalid value: %v", e.Type)))
	}
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"firstTimestamp", !e.FirstTimestamp.IsZero()},
		{"lastTimestamp", !e.LastTimestamp.IsZero()},
		{"count", e.Count != 0},
		{"source", e.Source != corev1.EventSource{}},
	} {
		if f.set {
			errs = append(errs, field.Invalid(field.NewPath(f.name), "", "needs to be unset"))
		}
	}
	return errs
}

func validateMeta(m *metav1.ObjectMeta) field.ErrorList {
	errs := validation.ValidateObjectMeta(m, true, validation.NameIsDNSSubdomain, field.NewPath("metadata"))
	return append(errs, validateFinalizers(m)...)
}

// validateFinalizers validates finalizers of events.k8s.io/v1; core/v1 takes any.
func validateFinalizers(m *metav1.ObjectMeta) (errs field.ErrorList) {
	for i, name := range m.Finalizers {
		errs = append(errs, corevalidation.StandardFinalizer(field.NewPath("metadata", "finalizers").Index(i), name)...)
	}
	return errs
}

// ValidateUpdate validates a changed Event. Through core/v1 anything may change;
// through events.k8s.io/v1 only the series and metadata.
func ValidateUpdate(e, old *corev1.Event, legacy bool) field.ErrorList {
	errs := validateEvent(e, legacy)
	if legacy {
		return errs
	}
	errs = append(errs, validation.ValidateObjectMetaUpdate(&e.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))...)
	errs = append(errs, validateFinalizers(&e.ObjectMeta)...)
	if !reflect.DeepEqual(e.Series, old.Series) {
		errs = append(errs, validateSeries(e)...)
	}
	for _, f := range []struct {
		name     string
		now, was any
	}{
		{"involvedObject", e.InvolvedObject, old.InvolvedObject},
		{"reason", e.Reason, old.Reason},
		{"message", e.Message, old.Message},
		{"source", e.Source, old.Source},
		{"firstTimestamp", e.FirstTimestamp, old.FirstTimestamp},
		{"lastTimestamp", e.LastTimestamp, old.LastTimestamp},
		{"count", e.Count, old.Count},
		{"reason", e.Reason, old.Reason}, // twice, as upstream's
		{"type", e.Type, old.Type},
		{"eventTime", stored(e.EventTime), stored(old.EventTime)},
		{"action", e.Action, old.Action},
		{"related", e.Related, old.Related},
		{"reportingController", e.ReportingController, old.ReportingController},
		{"reportingInstance", e.ReportingInstance, old.ReportingInstance},
	} {
		if !equality.Semantic.DeepEqual(f.now, f.was) {
			errs = append(errs, field.Invalid(field.NewPath(f.name), hub.Internal(f.now), validation.FieldImmutableErrorMsg))
		}
	}
	return errs
}

// stored returns a time as it is kept, by the microsecond.
func stored(t metav1.MicroTime) metav1.MicroTime {
	return metav1.NewMicroTime(t.Truncate(time.Microsecond).UTC())
}

func validateSeries(e *corev1.Event) field.ErrorList {
	var errs field.ErrorList
	if e.Series == nil {
		return nil
	}
	if e.Series.Count < 2 {
		errs = append(errs, field.Invalid(field.NewPath("series.count"), "", "should be at least 2"))
	}
	if e.Series.LastObservedTime.IsZero() {
		errs = append(errs, field.Required(field.NewPath("series.lastObservedTime"), ""))
	}
	return errs
}

// validateEvent validates what every Event has to have, which is more if it has
// the time of the new API.
func validateEvent(e *corev1.Event, legacy bool) field.ErrorList {
	of := e.InvolvedObject.Namespace
	namespace := field.ErrorList{field.Invalid(field.NewPath("involvedObject", "namespace"), of, "does not match event.namespace")}
	if e.EventTime.IsZero() {
		if of == "" && e.Namespace != metav1.NamespaceNone && e.Namespace != metav1.NamespaceDefault || of != "" && e.Namespace != of {
			return namespace
		}
		return nil
	}
	var errs field.ErrorList
	if of == "" && e.Namespace != metav1.NamespaceDefault && e.Namespace != metav1.NamespaceSystem {
		errs = namespace
	}
	return append(errs, validateReporting(e, legacy)...)
}

func validateReporting(e *corev1.Event, legacy bool) field.ErrorList {
	var errs field.ErrorList
	controller := field.NewPath("reportingController")
	if legacy {
		controller = field.NewPath("reportingComponent")
	}
	if e.ReportingController == "" {
		errs = append(errs, field.Required(controller, ""))
	}
	for _, msg := range utilvalidation.IsQualifiedName(e.ReportingController) {
		errs = append(errs, field.Invalid(controller, e.ReportingController, msg))
	}
	for _, f := range []struct {
		name, value string
		max         int
	}{
		{"reportingInstance", e.ReportingInstance, maxReportingInstance},
		{"action", e.Action, maxAction},
		{"reason", e.Reason, maxReason},
	} {
		if f.value == "" {
			errs = append(errs, field.Required(field.NewPath(f.name), ""))
		}
		if len(f.value) > f.max {
			errs = append(errs, field.Invalid(field.NewPath(f.name), "", fmt.Sprintf("can have at most %v characters", f.max)))
		}
	}
	if len(e.Message) > maxNote {
		errs = append(errs, field.Invalid(field.NewPath("message"), "", fmt.Sprintf("can have at most %v characters", maxNote)))
	}
	return errs
}
