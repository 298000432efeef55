package replicaset

import (
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/replicas"
)

// Name is the controller's name, as upstream's.
const Name = "replicaset-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "replicaset"

// New returns the controller of ReplicaSets.
func New(d controllers.Deps) *replicas.Reconciler {
	return replicas.New(d, Kind())
}

// Kind adapts ReplicaSets, which need no adapting.
func Kind() replicas.Kind {
	return replicas.Kind{
		GVK:        appsv1.SchemeGroupVersion.WithKind("ReplicaSet"),
		Controller: Name, EventSource: Name,
		New:     func() client.Object { return &appsv1.ReplicaSet{} },
		NewList: func() client.ObjectList { return &appsv1.ReplicaSetList{} },
		Items: func(l client.ObjectList) []client.Object {
			list := l.(*appsv1.ReplicaSetList)
			items := make([]client.Object, len(list.Items))
			for i := range list.Items {
				items[i] = &list.Items[i]
			}
			return items
		},
		Read: func(o client.Object) *appsv1.ReplicaSet { return o.(*appsv1.ReplicaSet) },
		WithStatus: func(o client.Object, s appsv1.ReplicaSetStatus) client.Object {
			out := o.(*appsv1.ReplicaSet).DeepCopy()
			out.Status = s
			return out
		},
		SpreadOverSiblings: true,
	}
}
