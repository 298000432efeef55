package events_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/events"
	"github.com/coracle-k8s/coracle/test/mangle"
)

func FuzzKinds(f *testing.F) {
	both := func(validate func(legacy bool) field.ErrorList) field.ErrorList {
		if errs := validate(true); len(errs) > 0 {
			validate(false)
			return errs
		}
		return validate(false)
	}
	mangle.Kinds(f, mangle.Of(
		func(e *corev1.Event) field.ErrorList {
			return both(func(legacy bool) field.ErrorList { return events.ValidateCreate(e, legacy) })
		},
		func(e, old *corev1.Event) field.ErrorList {
			return both(func(legacy bool) field.ErrorList { return events.ValidateUpdate(e, old, legacy) })
		},
	))
}
