package owned

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"
)

// Listener hears of what became of pods. Its methods may be called concurrently.
type Listener interface {
	Created(pod *corev1.Pod)
	CreateFailed(pod *corev1.Pod, err error)
	Deleted(pod *corev1.Pod)
	DeleteFailed(pod *corev1.Pod, err error)
}

// Events is the Listener that sends upstream's events about the owner.
type Events struct {
	Recorder record.EventRecorder
	About    runtime.Object
}

var _ Listener = Events{}

// Created implements Listener.
func (e Events) Created(pod *corev1.Pod) {
	e.Recorder.Eventf(e.About, corev1.EventTypeNormal, "SuccessfulCreate", "Created pod: %v", pod.Name)
}

// CreateFailed implements Listener.
func (e Events) CreateFailed(_ *corev1.Pod, err error) {
	e.Recorder.Eventf(e.About, corev1.EventTypeWarning, "FailedCreate", "Error creating: %v", err)
}

// Deleted implements Listener.
func (e Events) Deleted(pod *corev1.Pod) {
	e.Recorder.Eventf(e.About, corev1.EventTypeNormal, "SuccessfulDelete", "Deleted pod: %v", pod.Name)
}

// DeleteFailed implements Listener.
func (e Events) DeleteFailed(_ *corev1.Pod, err error) {
	e.Recorder.Eventf(e.About, corev1.EventTypeWarning, "FailedDelete", "Error deleting: %v", err)
}
