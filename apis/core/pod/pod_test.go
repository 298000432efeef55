package pod_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/apis/core/pod"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func readySince(at time.Time) *corev1.Pod {
	return &corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{
		Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(at)}}}}
}

func TestAvailable(t *testing.T) {
	for _, c := range []struct {
		name string
		pod  *corev1.Pod
		min  int32
		want bool
		in   time.Duration
	}{
		{"not ready", &corev1.Pod{}, 0, false, 0},
		{"ready, no minimum", readySince(time.Time{}), 0, true, 0},
		{"ready just long enough", readySince(t0.Add(-10 * time.Second)), 10, true, 0},
		{"ready too short", readySince(t0.Add(-9 * time.Second)), 10, false, time.Second},
		{"never changed", readySince(time.Time{}), 10, false, 0},
	} {
		if got, in := pod.Available(c.pod, c.min, t0); got != c.want || in != c.in {
			t.Errorf("%s: got %v, %v", c.name, got, in)
		}
	}
}

func TestPhasesAndDeletion(t *testing.T) {
	for _, c := range []struct {
		phase                         corev1.PodPhase
		deleted                       bool
		active, terminating, terminal bool
	}{
		{corev1.PodPending, false, true, false, false},
		{corev1.PodRunning, true, false, true, false},
		{corev1.PodFailed, false, false, false, true},
		{corev1.PodSucceeded, true, false, false, true},
	} {
		p := &corev1.Pod{Status: corev1.PodStatus{Phase: c.phase}}
		if c.deleted {
			p.DeletionTimestamp = &metav1.Time{Time: t0}
		}
		if pod.IsActive(p) != c.active || pod.IsTerminating(p) != c.terminating || pod.IsTerminal(p) != c.terminal {
			t.Errorf("%s, deleted %v: active %v, terminating %v, terminal %v", c.phase, c.deleted, pod.IsActive(p), pod.IsTerminating(p), pod.IsTerminal(p))
		}
	}
}

func TestUpdateCondition(t *testing.T) {
	p := readySince(t0)
	later := t0.Add(time.Minute)
	if pod.UpdateCondition(&p.Status, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue}, later) {
		t.Error("an equal condition is no change")
	}
	if !pod.UpdateCondition(&p.Status, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue, Reason: "R"}, later) {
		t.Error("another reason is a change")
	}
	if got := p.Status.Conditions[0].LastTransitionTime.Time; !got.Equal(t0) {
		t.Errorf("the status did not change, but the transition time became %v", got)
	}
	if !pod.UpdateCondition(&p.Status, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse}, later) {
		t.Error("another status is a change")
	}
	if got := p.Status.Conditions[0].LastTransitionTime.Time; !got.Equal(later) {
		t.Errorf("transition time %v", got)
	}
	if !pod.UpdateCondition(&p.Status, corev1.PodCondition{Type: corev1.PodInitialized, Status: corev1.ConditionTrue}, later) || len(p.Status.Conditions) != 2 {
		t.Error("a new condition is a change")
	}
}

func rl(cpu, mem string) corev1.ResourceList {
	l := corev1.ResourceList{}
	if cpu != "" {
		l[corev1.ResourceCPU] = resource.MustParse(cpu)
	}
	if mem != "" {
		l[corev1.ResourceMemory] = resource.MustParse(mem)
	}
	return l
}

func TestQOSClass(t *testing.T) {
	rr := func(req, lim corev1.ResourceList) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{Requests: req, Limits: lim}
	}
	full := rr(rl("1", "1Gi"), rl("1", "1Gi"))
	for _, c := range []struct {
		name       string
		containers []corev1.ResourceRequirements
		pod        *corev1.ResourceRequirements
		want       corev1.PodQOSClass
	}{
		{"nothing", []corev1.ResourceRequirements{{}}, nil, corev1.PodQOSBestEffort},
		{"zero", []corev1.ResourceRequirements{rr(rl("0", "0"), nil)}, nil, corev1.PodQOSBestEffort},
		{"guaranteed", []corev1.ResourceRequirements{full, full}, nil, corev1.PodQOSGuaranteed},
		{"one without", []corev1.ResourceRequirements{full, {}}, nil, corev1.PodQOSBurstable},
		{"cpu alone", []corev1.ResourceRequirements{rr(rl("1", ""), rl("1", ""))}, nil, corev1.PodQOSBurstable},
		{"request below limit", []corev1.ResourceRequirements{rr(rl("1", "1Gi"), rl("2", "1Gi"))}, nil, corev1.PodQOSBurstable},
		{"pod level", []corev1.ResourceRequirements{{}, {}}, &full, corev1.PodQOSGuaranteed},
	} {
		p := &corev1.Pod{Spec: corev1.PodSpec{Resources: c.pod}}
		for _, r := range c.containers {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Resources: r})
		}
		if got := pod.QOSClass(p); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func referringPod() *corev1.Pod {
	local := func(n string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: n} }
	env := func(suffix string) ([]corev1.EnvVar, []corev1.EnvFromSource) {
		return []corev1.EnvVar{
				{ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: local("s-env" + suffix)}}},
				{ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: local("c-env" + suffix)}}},
			}, []corev1.EnvFromSource{
				{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: local("s-from" + suffix)}},
				{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: local("c-from" + suffix)}},
			}
	}
	c, i, e := corev1.Container{Name: "c"}, corev1.Container{Name: "i"}, corev1.EphemeralContainer{}
	c.Env, c.EnvFrom = env("")
	i.Env, i.EnvFrom = env("-init")
	e.Env, e.EnvFrom = env("-eph")
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{
		ImagePullSecrets:    []corev1.LocalObjectReference{local("s-pull")},
		InitContainers:      []corev1.Container{i},
		Containers:          []corev1.Container{c},
		EphemeralContainers: []corev1.EphemeralContainer{e},
		Volumes: []corev1.Volume{
			{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s-vol"}}},
			{VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: local("c-vol")}}},
			{VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
				{Secret: &corev1.SecretProjection{LocalObjectReference: local("s-proj")}},
				{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: local("c-proj")}},
			}}}},
			{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "claim"}}},
			{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}},
		},
	}}
}

func TestReferences(t *testing.T) {
	p := referringPod()
	want := map[pod.Kind][]string{
		pod.Secrets:                {"s-pull", "s-from-init", "s-env-init", "s-from", "s-env", "s-from-eph", "s-env-eph", "s-vol", "s-proj"},
		pod.ConfigMaps:             {"c-from-init", "c-env-init", "c-from", "c-env", "c-from-eph", "c-env-eph", "c-vol", "c-proj"},
		pod.PersistentVolumeClaims: {"claim", "p-scratch"},
	}
	for kind, names := range want {
		if d := cmp.Diff(names, slices.Collect(pod.Names(p, kind))); d != "" {
			t.Errorf("%s: %s", kind, d)
		}
	}
}

func TestHostPorts(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	p := &corev1.Pod{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{
			{Ports: []corev1.ContainerPort{{Name: "init", ContainerPort: 1, Protocol: corev1.ProtocolTCP}}},
			{RestartPolicy: &always, Ports: []corev1.ContainerPort{{Name: "side", ContainerPort: 2, HostPort: 20, Protocol: corev1.ProtocolTCP}}},
		},
		Containers: []corev1.Container{{Ports: []corev1.ContainerPort{
			{Name: "web", ContainerPort: 3, Protocol: corev1.ProtocolUDP}, {Name: "web", ContainerPort: 4, HostPort: 40, Protocol: corev1.ProtocolTCP}}}},
	}}
	if len(pod.HostPorts(&p.Spec)) != 2 {
		t.Errorf("host ports %v", pod.HostPorts(&p.Spec))
	}
	if c, in := pod.FindContainer(&p.Spec, "x"); c != nil || in != "" {
		t.Error("found a container that is not there")
	}
}

func TestContainerStatus(t *testing.T) {
	s := &corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{{Name: "i", RestartCount: 3}}}
	if st := pod.ContainerStatus(s, "i"); st == nil || st.RestartCount != 3 {
		t.Errorf("got %v", st)
	}
	if st := pod.ContainerStatus(s, "x"); st != nil {
		t.Errorf("got %v", st)
	}
}
