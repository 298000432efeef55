package replicas

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Kind adapts one API kind to the controller.
type Kind struct {
	// GVK is the kind, as it appears in owner references.
	GVK schema.GroupVersionKind
	// Controller is the controller's name, as upstream's, for logs and metrics.
	Controller string
	// EventSource is the source of the controller's Events, as upstream's.
	EventSource string
	// New returns an empty object of the kind.
	New func() client.Object
	// NewList returns an empty list of the kind, Items the objects in a list.
	NewList func() client.ObjectList
	Items   func(client.ObjectList) []client.Object
	// Read derives the ReplicaSet on which decisions are made. It may share
	// memory with the object; neither is changed.
	Read func(client.Object) *appsv1.ReplicaSet
	// WithStatus returns a copy of the object that has the status. It must not
	// change the object itself.
	WithStatus func(client.Object, appsv1.ReplicaSetStatus) client.Object
	// SpreadOverSiblings ranks victims by how many pods of all ReplicaSets of the
	// same owner share their node, not only of this one.
	SpreadOverSiblings bool
}
