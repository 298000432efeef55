package replication

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/replicas"
)

// Name is the controller's name, as upstream's.
const Name = "replicationcontroller-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "replicationmanager"

// New returns the controller of ReplicationControllers.
func New(d controllers.Deps) *replicas.Reconciler {
	return replicas.New(d, Kind())
}

// Kind adapts ReplicationControllers.
func Kind() replicas.Kind {
	return replicas.Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("ReplicationController"),
		Controller: Name, EventSource: "replication-controller",
		New:     func() client.Object { return &corev1.ReplicationController{} },
		NewList: func() client.ObjectList { return &corev1.ReplicationControllerList{} },
		Items: func(l client.ObjectList) []client.Object {
			list := l.(*corev1.ReplicationControllerList)
			items := make([]client.Object, len(list.Items))
			for i := range list.Items {
				items[i] = &list.Items[i]
			}
			return items
		},
		Read:       func(o client.Object) *appsv1.ReplicaSet { return read(o.(*corev1.ReplicationController)) },
		WithStatus: withStatus,
	}
}

func read(rc *corev1.ReplicationController) *appsv1.ReplicaSet {
	set := &appsv1.ReplicaSet{
		ObjectMeta: rc.ObjectMeta,
		Spec: appsv1.ReplicaSetSpec{
			Replicas:        rc.Spec.Replicas,
			MinReadySeconds: rc.Spec.MinReadySeconds,
			Selector:        &metav1.LabelSelector{MatchLabels: rc.Spec.Selector},
		},
		Status: appsv1.ReplicaSetStatus{
			Replicas:             rc.Status.Replicas,
			FullyLabeledReplicas: rc.Status.FullyLabeledReplicas,
			ReadyReplicas:        rc.Status.ReadyReplicas,
			AvailableReplicas:    rc.Status.AvailableReplicas,
			ObservedGeneration:   rc.Status.ObservedGeneration,
		},
	}
	if rc.Spec.Template != nil {
		set.Spec.Template = *rc.Spec.Template
	}
	for _, c := range rc.Status.Conditions {
		set.Status.Conditions = append(set.Status.Conditions, appsv1.ReplicaSetCondition{
			Type: appsv1.ReplicaSetConditionType(c.Type), Status: c.Status,
			LastTransitionTime: c.LastTransitionTime, Reason: c.Reason, Message: c.Message,
		})
	}
	return set
}

func withStatus(o client.Object, s appsv1.ReplicaSetStatus) client.Object {
	out := o.(*corev1.ReplicationController).DeepCopy()
	out.Status = corev1.ReplicationControllerStatus{
		Replicas:             s.Replicas,
		FullyLabeledReplicas: s.FullyLabeledReplicas,
		ReadyReplicas:        s.ReadyReplicas,
		AvailableReplicas:    s.AvailableReplicas,
		ObservedGeneration:   s.ObservedGeneration,
	}
	for _, c := range s.Conditions {
		out.Status.Conditions = append(out.Status.Conditions, corev1.ReplicationControllerCondition{
			Type: corev1.ReplicationControllerConditionType(c.Type), Status: c.Status,
			LastTransitionTime: c.LastTransitionTime, Reason: c.Reason, Message: c.Message,
		})
	}
	return out
}
