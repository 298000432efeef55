package replicas

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"
)

// Reasons and words of the events, as upstream's.
const (
	reasonCreated      = "SuccessfulCreate"
	reasonCreateFailed = "FailedCreate"
	reasonDeleted      = "SuccessfulDelete"
	reasonDeleteFailed = "FailedDelete"
	reasonSelectingAll = "SelectingAll"
)

type events struct {
	recorder record.EventRecorder
	about    runtime.Object
}

func (e events) created(pod string) {
	e.recorder.Eventf(e.about, corev1.EventTypeNormal, reasonCreated, "Created pod: %v", pod)
}

func (e events) createFailed(err error) {
	e.recorder.Eventf(e.about, corev1.EventTypeWarning, reasonCreateFailed, "Error creating: %v", err)
}

func (e events) deleted(pod string) {
	e.recorder.Eventf(e.about, corev1.EventTypeNormal, reasonDeleted, "Deleted pod: %v", pod)
}

func (e events) deleteFailed(err error) {
	e.recorder.Eventf(e.about, corev1.EventTypeWarning, reasonDeleteFailed, "Error deleting: %v", err)
}
