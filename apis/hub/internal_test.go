package hub_test

import (
	"encoding/json"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/hub"
)

func TestInternal(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{appsv1.DeploymentStrategy{Type: "Often"}, `{"Type":"Often","RollingUpdate":null}`},
		{&policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}},
			`{"MinAvailable":1,"Selector":{"matchLabels":{"a":"b"}},"MaxUnavailable":null,"UnhealthyPodEvictionPolicy":null}`},
		{(*corev1.ObjectReference)(nil), "null"},
		{[]corev1.Toleration{{Key: "a"}}, `[{"Key":"a","Operator":"","Value":"","Effect":"","TolerationSeconds":null}]`},
		{corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{}}.Name, `"v"`},
		{corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "c"}, Spec: corev1.PersistentVolumeClaimSpec{
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}}}},
			`{"name":"c","Spec":{"AccessModes":null,"Selector":null,"Resources":{"Limits":null,"Requests":{"storage":"1Gi"}},"VolumeName":"",` +
				`"StorageClassName":null,"VolumeMode":null,"DataSource":null,"DataSourceRef":null,"VolumeAttributesClassName":null},` +
				`"Status":{"Phase":"","AccessModes":null,"Capacity":null,"Conditions":null,"AllocatedResources":null,"AllocatedResourceStatuses":null,` +
				`"CurrentVolumeAttributesClassName":null,"ModifyVolumeStatus":null,"HealthStatus":null}}`},
	} {
		got, err := json.Marshal(hub.Internal(c.value))
		if err != nil || string(got) != c.want {
			t.Errorf("got  %s, %v\nwant %s", got, err, c.want)
		}
	}
	if e := field.Invalid(field.NewPath("type"), hub.Internal("a > b"), "no"); e.Error() != `type: Invalid value: "a > b": no` {
		t.Errorf("a string is quoted as %s", e.Error())
	}
}
