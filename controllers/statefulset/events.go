package statefulset

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/record"
)

const reasonConflict = "ConflictingController"

// events are about one set; the words are upstream's.
type events struct {
	recorder record.EventRecorder
	set      *appsv1.StatefulSet
}

// Created and the like implement owned.Listener.
func (e events) Created(pod *corev1.Pod)                 { e.did("Create", pod.Name, nil) }
func (e events) Deleted(pod *corev1.Pod)                 { e.did("Delete", pod.Name, nil) }
func (e events) DeleteFailed(pod *corev1.Pod, err error) { e.did("Delete", pod.Name, err) }

// CreateFailed sends no event about a pod that exists: it is another's, or the
// cache is behind.
func (e events) CreateFailed(pod *corev1.Pod, err error) {
	if !apierrors.IsAlreadyExists(err) {
		e.did("Create", pod.Name, err)
	}
}

// did records the result of verb (Create, Update, Delete) for a pod.
func (e events) did(verb, pod string, err error) {
	if err == nil {
		e.recorder.Event(e.set, corev1.EventTypeNormal, "Successful"+verb, fmt.Sprintf("%s Pod %s in StatefulSet %s successful", verb, pod, e.set.Name))
		return
	}
	e.recorder.Event(e.set, corev1.EventTypeWarning, "Failed"+verb, fmt.Sprintf("%s Pod %s in StatefulSet %s failed error: %s", verb, pod, e.set.Name, err))
}

func (e events) createdClaim(claim, pod string, err error) {
	if err == nil {
		e.recorder.Event(e.set, corev1.EventTypeNormal, "SuccessfulCreate", fmt.Sprintf("Create Claim %s Pod %s in StatefulSet %s success", claim, pod, e.set.Name))
		return
	}
	e.recorder.Event(e.set, corev1.EventTypeWarning, "FailedCreate", fmt.Sprintf("Create Claim %s for Pod %s in StatefulSet %s failed error: %s", claim, pod, e.set.Name, err))
}

func (e events) conflict(claim string) {
	e.recorder.Event(e.set, corev1.EventTypeWarning, reasonConflict,
		fmt.Sprintf("PersistentVolumeClaim %s has a conflicting OwnerReference that acts as a manging controller, the retention policy is ignored for this claim", claim))
}
