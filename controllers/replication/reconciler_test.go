package replication

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/controllers/replicas"
)

func TestStatusSurvivesTheRoundTrip(t *testing.T) {
	rc := &corev1.ReplicationController{
		ObjectMeta: metav1.ObjectMeta{Name: "rc", Generation: 2},
		Spec: corev1.ReplicationControllerSpec{
			Replicas: ptr.To[int32](2), Selector: map[string]string{"a": "b"},
			Template: &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}},
		},
	}
	k := Kind()
	status, _ := replicas.MakeStatus(replicas.Observed{Set: k.Read(rc)}, cmpError("no"), time.Unix(1, 0))
	updated := k.WithStatus(rc, status).(*corev1.ReplicationController)
	if len(rc.Status.Conditions) != 0 {
		t.Error("the shared object was changed")
	}
	got := k.Read(updated)
	// ReplicationControllers have no such field; a reconcile must not miss it.
	status.TerminatingReplicas = nil
	if diff := cmp.Diff(status, got.Status); diff != "" {
		t.Error(diff)
	}
	if got.Status.Conditions[0].Type != appsv1.ReplicaSetReplicaFailure {
		t.Errorf("conditions %v", got.Status.Conditions)
	}
	if diff := cmp.Diff(&metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}, got.Spec.Selector); diff != "" {
		t.Error(diff)
	}
}

type cmpError string

func (e cmpError) Error() string { return string(e) }
