package daemonset

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"
)

// Reasons and words of the events, as upstream's.
const (
	reasonSelectingAll = "SelectingAll"
	reasonFailed       = "FailedDaemonPod"
	reasonSucceeded    = "SucceededDaemonPod"

	selectingAllMessage = "This daemon set is selecting all pods. A non-empty selector is required."
)

type events struct {
	recorder record.EventRecorder
	about    runtime.Object
}

func (e events) created(pod string) {
	e.recorder.Eventf(e.about, corev1.EventTypeNormal, "SuccessfulCreate", "Created pod: %v", pod)
}

func (e events) createFailed(err error) {
	e.recorder.Eventf(e.about, corev1.EventTypeWarning, "FailedCreate", "Error creating: %v", err)
}

func (e events) deleted(pod string) {
	e.recorder.Eventf(e.about, corev1.EventTypeNormal, "SuccessfulDelete", "Deleted pod: %v", pod)
}

func (e events) deleteFailed(err error) {
	e.recorder.Eventf(e.about, corev1.EventTypeWarning, "FailedDelete", "Error deleting: %v", err)
}
