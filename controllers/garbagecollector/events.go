package garbagecollector

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The event on a dependent whose owner is in another namespace, in upstream's
// words. The documentation names its reason:
// https://kubernetes.io/docs/concepts/architecture/garbage-collection
const (
	reasonInvalidNamespace  = "OwnerRefInvalidNamespace"
	messageInvalidNamespace = "ownerRef %s does not exist in namespace %q"
)

// String implements fmt.Stringer in the form upstream's messages have.
func (id Identity) String() string {
	return fmt.Sprintf("[%s/%s, namespace: %s, name: %s, uid: %s]", id.APIVersion, id.Kind, id.Namespace, id.Name, id.UID)
}

// describe names an owner by its reference alone: its namespace is in question.
func describe(ref metav1.OwnerReference) string {
	return identityOf(&ref, "").String()
}

func reference(id Identity) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: id.APIVersion, Kind: id.Kind, Namespace: id.Namespace, Name: id.Name, UID: id.UID,
	}
}
