package validation_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/validation/pods"
)

// against validates every edited object as an update of old.
func against[T any](old *T, update func(now, old *T) field.ErrorList) func(*T) field.ErrorList {
	return func(now *T) field.ErrorList { return update(now, old) }
}

func TestPodUpdate(t *testing.T) {
	good := func() *corev1.Pod {
		p := goodPod()
		p.Spec.ActiveDeadlineSeconds = new(int64(10))
		p.Spec.Tolerations = []corev1.Toleration{{Key: "a", Operator: "Exists", Effect: "NoExecute"}}
		p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "g"}}
		p.Spec.NodeSelector = map[string]string{"a": "b"}
		return p
	}
	run(t, good, against(good(), pods.ValidatePodUpdate), []edit[corev1.Pod]{
		{"image", func(p *corev1.Pod) { c0(p).Image = "other" }, nil},
		{"empty image", func(p *corev1.Pod) { c0(p).Image = "" }, []string{"spec.containers[0].image: " + req}},
		{"labels", func(p *corev1.Pod) { p.Labels = map[string]string{"a": "b"} }, nil},
		{"env", func(p *corev1.Pod) { c0(p).Env = []corev1.EnvVar{{Name: "a"}} }, []string{"spec: " + fbd}},
		{"node", func(p *corev1.Pod) { p.Spec.NodeName = "n" }, []string{"spec: " + fbd}},
		{"more containers", func(p *corev1.Pod) {
			p.Spec.Containers = append(p.Spec.Containers, *c0(p))
			p.Spec.Containers[1].Name = "x"
		}, []string{"spec.containers: " + fbd}},
		{"shorter deadline", func(p *corev1.Pod) { *p.Spec.ActiveDeadlineSeconds = 5 }, nil},
		{"longer deadline", func(p *corev1.Pod) { *p.Spec.ActiveDeadlineSeconds = 50 }, []string{"spec.activeDeadlineSeconds: " + inv}},
		{"no deadline", func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = nil }, []string{"spec.activeDeadlineSeconds: " + inv}},
		{"more tolerations", func(p *corev1.Pod) {
			p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Key: "b", Operator: "Exists"})
			p.Spec.Tolerations[0].TolerationSeconds = new(int64(5))
		}, nil},
		{"fewer tolerations", func(p *corev1.Pod) { p.Spec.Tolerations = nil }, []string{"spec.tolerations: " + fbd}},
		{"gate gone", func(p *corev1.Pod) { p.Spec.SchedulingGates = nil }, nil},
		{"gate new", func(p *corev1.Pod) {
			p.Spec.SchedulingGates = append(p.Spec.SchedulingGates, corev1.PodSchedulingGate{Name: "h"})
		}, []string{"spec.schedulingGates[1].name: " + fbd}},
		{"gated: choosier", func(p *corev1.Pod) {
			p.Spec.NodeSelector["c"] = "d"
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}}
		}, nil},
		{"gated: less choosy", func(p *corev1.Pod) { p.Spec.NodeSelector = nil }, []string{"spec.nodeSelector: " + inv}},
		{"apparmor annotation", func(p *corev1.Pod) {
			p.Annotations = map[string]string{corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix + "web": "unconfined"}
		},
			[]string{"metadata.annotations[container.apparmor.security.beta.kubernetes.io/web]: " + fbd}},
	})
}

func TestPodStatusUpdate(t *testing.T) {
	good := func() *corev1.Pod {
		p := goodPod()
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
		p.Status = corev1.PodStatus{HostIP: "10.0.0.1", HostIPs: []corev1.HostIP{{IP: "10.0.0.1"}}, PodIP: "10.1.0.1", PodIPs: []corev1.PodIP{{IP: "10.1.0.1"}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "web", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}}}
		return p
	}
	run(t, good, against(good(), pods.ValidatePodStatusUpdate), []edit[corev1.Pod]{
		{"resurrection", func(p *corev1.Pod) {
			p.Status.ContainerStatuses[0].State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
		}, []string{"status.containerStatuses[0].state: " + fbd}},
		{"node", func(p *corev1.Pod) { p.Spec.NodeName = "n" }, []string{"status.nodeName: " + fbd}},
		{"nominated", func(p *corev1.Pod) { p.Status.NominatedNodeName = "N" }, []string{"status.nominatedNodeName: " + inv}},
		{"two of a family", func(p *corev1.Pod) { p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: "10.1.0.2"}) }, []string{"status.podIPs: " + inv}},
		{"dual", func(p *corev1.Pod) { p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: "fd00::1"}) }, nil},
		{"host", func(p *corev1.Pod) { p.Status.HostIP = "10.0.0.2" }, []string{"status.hostIPs[0].ip: " + inv}},
		{"condition", func(p *corev1.Pod) { p.Status.Conditions = []corev1.PodCondition{{Type: "a b"}} }, []string{"status.conditions[0].Type: " + inv}},
		{"claims", func(p *corev1.Pod) { p.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "x"}} }, []string{"status.resourceClaimStatuses[0].name: " + inv}},
	})
}

func TestPodSubresources(t *testing.T) {
	debug := corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "d", Image: "i", ImagePullPolicy: "Always", TerminationMessagePolicy: "File"}}
	old := func() *corev1.Pod {
		p := goodPod()
		p.Spec.EphemeralContainers = []corev1.EphemeralContainer{debug}
		c0(p).Resources = corev1.ResourceRequirements{Requests: list("cpu", "1", "memory", "1Gi")}
		return p
	}
	run(t, old, against(old(), pods.ValidatePodEphemeralContainersUpdate), []edit[corev1.Pod]{
		{"another", func(p *corev1.Pod) {
			p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers, debug)
			p.Spec.EphemeralContainers[1].Name = "e"
		}, nil},
		{"removed", func(p *corev1.Pod) { p.Spec.EphemeralContainers = nil }, []string{"spec.ephemeralContainers: " + fbd}},
		{"changed", func(p *corev1.Pod) { p.Spec.EphemeralContainers[0].Image = "j" }, []string{"spec.ephemeralContainers: " + fbd}},
	})
	run(t, old, against(old(), pods.ValidatePodResize), []edit[corev1.Pod]{
		{"more", func(p *corev1.Pod) { c0(p).Resources.Requests = list("cpu", "2", "memory", "2Gi") }, nil},
		{"limits added", func(p *corev1.Pod) { c0(p).Resources.Limits = list("cpu", "2") }, nil},
		{"to guaranteed", func(p *corev1.Pod) { c0(p).Resources.Limits = c0(p).Resources.Requests }, []string{"spec: " + inv}},
		{"removed", func(p *corev1.Pod) { c0(p).Resources.Requests = list("cpu", "2") }, []string{"spec.containers[0].resources.requests: " + fbd}},
		{"other resource", func(p *corev1.Pod) { c0(p).Resources.Requests["ephemeral-storage"] = list("x", "1")["x"] }, []string{"spec: " + fbd}},
		{"image", func(p *corev1.Pod) { c0(p).Image = "x" }, []string{"spec: " + fbd}},
	})
	check(t, pods.ValidatePodBinding(&corev1.Binding{Target: corev1.ObjectReference{Kind: "Pod"}}), "target.kind: "+sup, "target.name: "+req)
	check(t, pods.ValidatePodBinding(&corev1.Binding{Target: corev1.ObjectReference{Name: "n"}}))
}
