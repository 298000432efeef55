package apps

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

func template() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
}

func selector() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
}

func meta() metav1.ObjectMeta { return metav1.ObjectMeta{Name: "x", Namespace: "default"} }

func deployment(change func(*appsv1.Deployment)) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: meta(), Spec: appsv1.DeploymentSpec{Selector: selector(), Template: template()}}
	change(d)
	SetDefaultsDeployment(d)
	return d
}

// check compares all messages, joined.
func expect(t *testing.T, name string, errs field.ErrorList, want ...string) {
	t.Helper()
	var got []string
	for _, e := range errs {
		got = append(got, e.Error())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s:\ngot  %q\nwant %q", name, got, want)
	}
}

func TestValidateDeployment(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*appsv1.Deployment)
		want   []string
	}{
		{"good", func(*appsv1.Deployment) {}, nil},
		{"no selector", func(d *appsv1.Deployment) { d.Spec.Selector = nil }, []string{"spec.selector: Required value",
			"spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`"}},
		{"other labels", func(d *appsv1.Deployment) { d.Spec.Template.Labels = map[string]string{"a": "c"} },
			[]string{`spec.template.metadata.labels: Invalid value: {"a":"c"}: ` + "`selector` does not match template `labels`"}},
		{"no image", func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "" },
			[]string{"spec.template.spec.containers[0].image: Required value"}},
		{"negative replicas", func(d *appsv1.Deployment) { d.Spec.Replicas = ptr.To(int32(-1)) },
			[]string{"spec.replicas: Invalid value: -1: must be greater than or equal to 0"}},
		{"never restarts", func(d *appsv1.Deployment) { d.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever },
			[]string{`spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"`}},
		{"cannot move", func(d *appsv1.Deployment) {
			d.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxSurge: ptr.To(intstr.FromInt32(0)), MaxUnavailable: ptr.To(intstr.FromString("0%"))}
		}, []string{"spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0"}},
		{"recreate with parameters", func(d *appsv1.Deployment) {
			d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{}}
		}, []string{"spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"}},
		{"deadline", func(d *appsv1.Deployment) {
			d.Spec.MinReadySeconds, d.Spec.ProgressDeadlineSeconds = 5, ptr.To(int32(5))
		},
			[]string{"spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds"}},
	} {
		expect(t, c.name, ValidateDeployment(deployment(c.change)), c.want...)
	}
	old := deployment(func(d *appsv1.Deployment) { d.ResourceVersion = "1" })
	changed := old.DeepCopy()
	changed.Spec.Selector.MatchLabels["c"], changed.Spec.Template.Labels["c"] = "d", "d"
	expect(t, "selector changed", ValidateDeploymentUpdate(changed, old),
		`spec.selector: Invalid value: {"matchLabels":{"a":"b","c":"d"}}: field is immutable`)
}

func TestOtherWorkloads(t *testing.T) {
	rs := &appsv1.ReplicaSet{ObjectMeta: meta(), Spec: appsv1.ReplicaSetSpec{Selector: selector(), Template: template()}}
	SetDefaultsReplicaSet(rs)
	expect(t, "replicaset", ValidateReplicaSet(rs))
	sts := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "x", Namespace: "default", ResourceVersion: "1"}, Spec: appsv1.StatefulSetSpec{Selector: selector(), Template: template()}}
	SetDefaultsStatefulSet(sts)
	expect(t, "statefulset", ValidateStatefulSet(sts))
	changed := sts.DeepCopy()
	changed.Spec.Replicas, changed.Spec.Template.Spec.Containers[0].Image = ptr.To(int32(5)), "j"
	expect(t, "statefulset with what may change", ValidateStatefulSetUpdate(changed, sts))
	changed.Spec.ServiceName = "other"
	expect(t, "statefulset with what may not change", ValidateStatefulSetUpdate(changed, sts),
		`spec.serviceName: Invalid value: "other": field is immutable`)
	claimed := sts.DeepCopy()
	claimed.Spec.Template.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	expect(t, "statefulset that mounts nothing", ValidateStatefulSet(claimed), `spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data"`)
	claimed.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}}}}
	expect(t, "statefulset that mounts its claims", ValidateStatefulSet(claimed))
	claimed.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "data"}}
	expect(t, "statefulset whose claims replace a volume", ValidateStatefulSet(claimed))
	claimed.Spec.VolumeClaimTemplates[0].Spec.AccessModes = nil
	expect(t, "statefulset of claims that cannot be", ValidateStatefulSet(claimed),
		"spec.volumeClaimTemplates[0].spec.accessModes: Required value: at least 1 access mode is required")
	ds := &appsv1.DaemonSet{ObjectMeta: meta(), Spec: appsv1.DaemonSetSpec{Selector: selector(), Template: template()}}
	SetDefaultsDaemonSet(ds)
	expect(t, "daemonset", ValidateDaemonSet(ds))
	ds.Spec.UpdateStrategy.RollingUpdate.MaxSurge = ptr.To(intstr.FromInt32(1))
	expect(t, "daemonset with surge", ValidateDaemonSet(ds),
		"spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero")
}
