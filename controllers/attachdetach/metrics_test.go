package attachdetach

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/recorders"
)

// TestMetrics has two volumes: one attached and used by two pods of which one is
// over, one wanted by a pod and not attached yet.
func TestMetrics(t *testing.T) {
	objects := []client.Object{newNode()}
	for _, name := range []string{"there", "wanted"} {
		pv := newVolume(name, corev1.ReadWriteOnce)
		pv.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "a", Name: name, UID: "c"}
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, UID: "c"},
			Spec: corev1.PersistentVolumeClaimSpec{VolumeName: name}, Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound}}
		objects = append(objects, pv, claim)
		if name == "there" {
			objects = append(objects, to(pv, done).VolumeAttachment)
		}
	}
	for name, claim := range map[string]string{"p": "there", "over": "there", "q": "wanted"} {
		pod := newPod("a", name)
		pod.Spec.NodeName = "n"
		pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}}}
		if name == "over" {
			pod.Status.Phase = corev1.PodSucceeded
		}
		objects = append(objects, pod)
	}
	c := fake.NewClientBuilder().WithScheme(apis.NewClientScheme()).WithObjects(objects...).Build()
	r := New(controllers.Deps{Client: c, Live: c, Clock: testingclock.NewFakeClock(now), Recorder: recorders.Always(record.NewFakeRecorder(1))})
	r.forced.WithLabelValues(forcedTimeout).Inc()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(r.Collectors()...)
	want := `# HELP attach_detach_controller_attachdetach_controller_forced_detaches [ALPHA] Number of times the A/D Controller performed a forced detach
# TYPE attach_detach_controller_attachdetach_controller_forced_detaches counter
attach_detach_controller_attachdetach_controller_forced_detaches{reason="timeout"} 1
# HELP attachdetach_controller_total_volumes [ALPHA] Number of volumes in A/D Controller
# TYPE attachdetach_controller_total_volumes gauge
attachdetach_controller_total_volumes{plugin_name="kubernetes.io/csi:d",state="actual_state_of_world"} 1
attachdetach_controller_total_volumes{plugin_name="kubernetes.io/csi:d",state="desired_state_of_world"} 2
# HELP storage_count_attachable_volumes_in_use [ALPHA] Measure number of volumes in use
# TYPE storage_count_attachable_volumes_in_use gauge
storage_count_attachable_volumes_in_use{node="n",volume_plugin="kubernetes.io/csi:d"} 3
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
