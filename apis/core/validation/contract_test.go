package validation_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/validation"
	"github.com/coracle-k8s/coracle/apis/core/validation/pods"
)

// verbatim is a change to a good object, and the errors that clients get for
// it, word by word and in order, from kube-apiserver v1.37.1.
type verbatim[T any] struct {
	name string
	edit func(*T)
	want []string
}

func say[T any](t *testing.T, good func() *T, validate func(*T) field.ErrorList, cases []verbatim[T]) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := good()
			c.edit(o)
			var got []string
			for _, err := range validate(o) {
				text, _, _ := strings.Cut(err.Error(), "\n") // what follows is a diff
				got = append(got, text)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestPodMessages(t *testing.T) {
	const c = "spec.containers[0]."
	say(t, goodPod, pods.ValidatePodCreate, []verbatim[corev1.Pod]{
		{"values are listed in order", func(p *corev1.Pod) {
			c0(p).Ports = []corev1.ContainerPort{{ContainerPort: 1, Protocol: "X"}}
			c0(p).ImagePullPolicy = "x"
			p.Spec.RestartPolicy = "x"
		}, []string{c + `ports[0].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"`,
			c + `imagePullPolicy: Unsupported value: "x": supported values: "Always", "IfNotPresent", "Never"`,
			`spec.restartPolicy: Unsupported value: "x": supported values: "Always", "OnFailure", "Never"`}},
		{"image volume without a reference", volumeOf(corev1.VolumeSource{Image: &corev1.ImageVolumeSource{}}),
			[]string{"spec.volumes[0].image.reference: Required value", "spec.volumes[0].image.pullPolicy: Required value", c + `volumeMounts[0].name: Not found: "v"`}},
		{"hints of what is required", func(p *corev1.Pod) {
			p.Spec.DNSConfig = &corev1.PodDNSConfig{Options: []corev1.PodDNSConfigOption{{}}}
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, WhenUnsatisfiable: "DoNotSchedule"}}
			c0(p).SecurityContext = &corev1.SecurityContext{AppArmorProfile: &corev1.AppArmorProfile{}, SeccompProfile: &corev1.SeccompProfile{}}
		}, []string{c + "securityContext.seccompProfile.type: Required value: type is required when seccompProfile is set",
			c + "securityContext.appArmorProfile.type: Required value: type is required when appArmorProfile is set",
			"spec.dnsConfig.options[0]: Required value: must not be empty",
			"spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty"}},
		{"values are shown as upstream's own types", func(p *corev1.Pod) {
			p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "a"}}
			p.Spec.SecurityContext.SeccompProfile = &corev1.SeccompProfile{Type: "Unconfined", LocalhostProfile: new("x")}
		}, []string{
			"spec.resourceClaims[0]: Invalid value: {\"Name\":\"a\",\"ResourceClaimName\":null,\"ResourceClaimTemplateName\":null}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
			`spec.securityContext.seccompProfile.localhostProfile: Invalid value: {"Type":"Unconfined","LocalhostProfile":"x"}: can only be set when seccomp type is Localhost`}},
		{"users of its own", func(p *corev1.Pod) {
			p.Spec.HostUsers, p.Spec.HostPID, p.Spec.HostIPC = new(false), true, true
		}, []string{"spec.HostPID: Forbidden: when `hostUsers` is false", "spec.HostIPC: Forbidden: when `hostUsers` is false"}},
		{"Windows", func(p *corev1.Pod) {
			p.Spec.OS = &corev1.PodOS{Name: "windows"}
			p.Spec.HostUsers, p.Spec.SecurityContext = new(true), &corev1.PodSecurityContext{RunAsUser: new(int64(1))}
			c0(p).SecurityContext = &corev1.SecurityContext{Privileged: new(false)}
		}, []string{"spec.securityContext.runAsUser: Forbidden: cannot be set for a windows pod", "spec.hostUsers: Forbidden: cannot be set for a windows pod",
			c + "securityContext.privileged: Forbidden: cannot be set for a windows pod"}},
		{"another system", func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: "x"} },
			[]string{`spec.os: Unsupported value: "x": supported values: "linux", "windows"`}},
		{"processes of a Windows node", func(p *corev1.Pod) {
			c0(p).SecurityContext = &corev1.SecurityContext{WindowsOptions: &corev1.WindowsSecurityContextOptions{HostProcess: new(true)}}
		}, []string{"spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers"}},
		{"a user of Windows", func(p *corev1.Pod) {
			c0(p).SecurityContext = &corev1.SecurityContext{WindowsOptions: &corev1.WindowsSecurityContextOptions{RunAsUserName: new(`-.\..`)}}
		}, []string{c + `securityContext.windowsOptions.runAsUserName: Invalid value: "-.\\..": runAsUserName's User cannot contain only periods or spaces`}},
		{"annotation and field", func(p *corev1.Pod) {
			p.Annotations = map[string]string{"container.apparmor.security.beta.kubernetes.io/web": "localhost/a", "seccomp.security.alpha.kubernetes.io/pod": "unconfined"}
			c0(p).SecurityContext = &corev1.SecurityContext{AppArmorProfile: &corev1.AppArmorProfile{Type: "Localhost", LocalhostProfile: new("b")}}
			p.Spec.SecurityContext.SeccompProfile = &corev1.SeccompProfile{Type: "RuntimeDefault"}
		}, []string{"spec.securityContext.seccompProfile.type: Forbidden: seccomp type in annotation and field must match",
			c + "securityContext.appArmorProfile.localhostProfile: Forbidden: apparmor profile in annotation and field must match"}},
		{"sidecars only", func(p *corev1.Pod) {
			s := sidecar(p)
			s.RestartPolicy, s.ResizePolicy = nil, []corev1.ContainerResizePolicy{{ResourceName: "cpu", RestartPolicy: "RestartContainer"}}
		}, []string{`spec.initContainers[0].resizePolicy[0].restartPolicy: Invalid value: "RestartContainer": must not be set to 'RestartContainer' for non-sidecar initContainers`}},
		{"a static pod with claims", func(p *corev1.Pod) {
			p.Annotations, p.Spec.NodeName = map[string]string{corev1.MirrorPodAnnotationKey: "x"}, "n"
			p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "a", ResourceClaimName: new("b")}}
		}, []string{"[]: Forbidden: static pods do not support resource claims"}},
		{"the claim of an ephemeral volume", func(p *corev1.Pod) {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "E", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "web-e"}}},
				corev1.Volume{Name: "e", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}})
		}, []string{
			`spec.volumes[1].name: Invalid value: "E": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`,
			`spec.volumes[1].persistentVolumeClaim.claimName: Invalid value: "web-e": must not reference a PVC that gets created for an ephemeral volume`,
			"spec.volumes[2].ephemeral.volumeClaimTemplate: Required value"}},
	})
}

func TestPodUpdateMessages(t *testing.T) {
	gated := func() *corev1.Pod {
		p := goodPod()
		p.Spec.SchedulingGates, p.Spec.NodeSelector = []corev1.PodSchedulingGate{{Name: "g"}}, map[string]string{"a": "b"}
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "k", Operator: "Exists"}}}}}}}
		return p
	}
	const terms = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
	say(t, gated, against(gated(), pods.ValidatePodUpdate), []verbatim[corev1.Pod]{
		{"another gate", func(p *corev1.Pod) { p.Spec.SchedulingGates[0].Name = "h" },
			[]string{"spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'h'"}},
		{"less choosy", func(p *corev1.Pod) { p.Spec.NodeSelector = nil },
			[]string{"spec.nodeSelector: Invalid value: null: only additions to spec.nodeSelector are allowed (no mutations or deletions)"}},
		{"another term", func(p *corev1.Pod) {
			r := p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
			r.NodeSelectorTerms = append(r.NodeSelectorTerms, r.NodeSelectorTerms[0])
		}, []string{terms + `: Invalid value: [{"MatchExpressions":[{"Key":"k","Operator":"Exists","Values":null}],"MatchFields":null},{"MatchExpressions":[{"Key":"k","Operator":"Exists","Values":null}],"MatchFields":null}]: no additions/deletions to non-empty NodeSelectorTerms list are allowed`}},
		{"a new annotation of AppArmor", func(p *corev1.Pod) {
			p.Annotations = map[string]string{"container.apparmor.security.beta.kubernetes.io/web": "unconfined"}
		}, []string{"metadata.annotations[container.apparmor.security.beta.kubernetes.io/web]: Forbidden: may not add AppArmor annotations"}},
	})
	running := func() *corev1.Pod {
		p := goodPod()
		c0(p).Resources = corev1.ResourceRequirements{Requests: list("cpu", "1", "memory", "1Gi")}
		p.Status.QOSClass = corev1.PodQOSBurstable
		return p
	}
	say(t, running, against(running(), pods.ValidatePodResize), []verbatim[corev1.Pod]{
		{"removed", func(p *corev1.Pod) { c0(p).Resources.Requests = list("cpu", "1") },
			[]string{"spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed"}},
		{"another class", func(p *corev1.Pod) { c0(p).Resources.Limits = list("cpu", "1", "memory", "1Gi") },
			[]string{`spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing`}},
		{"renamed", func(p *corev1.Pod) { c0(p).Name = "x" },
			[]string{"spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize"}},
		{"another resource", func(p *corev1.Pod) { c0(p).Resources.Requests["ephemeral-storage"] = list("x", "1")["x"] },
			[]string{"spec: Forbidden: only cpu and memory resources are mutable"}},
	})
	static := goodPod()
	static.Annotations, static.Spec.NodeName = map[string]string{corev1.MirrorPodAnnotationKey: "x"}, "n"
	say(t, static.DeepCopy, against(static, pods.ValidatePodResize), []verbatim[corev1.Pod]{
		{"static", func(p *corev1.Pod) { p.Spec.NodeName = "" }, []string{"[]: Forbidden: static pods cannot be resized"}}})
	say(t, static.DeepCopy, against(static, pods.ValidatePodEphemeralContainersUpdate), []verbatim[corev1.Pod]{
		{"static", func(p *corev1.Pod) { p.Spec.NodeName = "" }, []string{"[]: Forbidden: static pods do not support ephemeral containers"}}})
}

// TestPodRatchets checks that faults of the stored object are let pass, and no others.
func TestPodRatchets(t *testing.T) {
	for name, edit := range map[string]func(*corev1.Pod){
		"image volume without a reference": volumeOf(corev1.VolumeSource{Image: &corev1.ImageVolumeSource{PullPolicy: "Always"}}),
		"path of a token outside of its volume": volumeOf(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "../a", ExpirationSeconds: new(int64(600))}}}}}),
		"sysctl of the node": func(p *corev1.Pod) {
			p.Spec.HostNetwork, p.Spec.SecurityContext.Sysctls = true, []corev1.Sysctl{{Name: "net.a", Value: "1"}}
		},
		"values of required nodes": func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "k", Operator: "In", Values: []string{"a/b"}}}}}}}}
		},
		"selector of a spread constraint": func(p *corev1.Pod) {
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: "z", WhenUnsatisfiable: "DoNotSchedule",
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b c"}}}}
		},
		"pages": func(p *corev1.Pod) {
			c0(p).Resources.Limits = list("cpu", "1", "hugepages-2Mi", "3Mi")
			c0(p).Resources.Requests = list("cpu", "1", "hugepages-2Mi", "3Mi")
		},
		"a capability": func(p *corev1.Pod) {
			c0(p).SecurityContext = &corev1.SecurityContext{AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"CAP_SYS_ADMIN"}}}
		},
		"a deletion cost": func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.PodDeletionCost: "+1"} },
	} {
		old := goodPod()
		if edit(old); len(pods.ValidatePodCreate(old)) == 0 {
			t.Errorf("%s: accepted of a new pod", name)
		}
		if errs := pods.ValidatePodUpdate(old.DeepCopy(), old); len(errs) > 0 {
			t.Errorf("%s: refused of a stored pod: %v", name, errs)
		}
		old2, now := goodPod(), goodPod()
		if edit(now); len(pods.ValidatePodUpdate(now, old2)) == 0 {
			t.Errorf("%s: may be added", name)
		}
		template := &corev1.PodTemplate{ObjectMeta: meta("d"), Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Annotations: old.Annotations}, Spec: old.Spec}}
		if len(validation.ValidatePodTemplate(template)) == 0 {
			t.Errorf("%s: accepted of a new template", name)
		}
		if errs := validation.ValidatePodTemplateUpdate(template.DeepCopy(), template); len(errs) > 0 {
			t.Errorf("%s: refused of a stored template: %v", name, errs)
		}
	}
}

func TestPodStatusMessages(t *testing.T) {
	good := func() *corev1.Pod {
		p := goodPod()
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
		c0(p).RestartPolicy = new(corev1.ContainerRestartPolicyNever)
		c0(p).RestartPolicyRules = []corev1.ContainerRestartRule{{Action: "Restart", ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: "In", Values: []int32{42}}}}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "web", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}}}}
		p.Status.EphemeralContainerStatuses = []corev1.ContainerStatus{{Name: "d", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}}
		return p
	}
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	restarted := good()
	restarted.Status.ContainerStatuses[0].State.Terminated.ExitCode = 42
	say(t, restarted.DeepCopy, against(restarted, pods.ValidatePodStatusUpdate), []verbatim[corev1.Pod]{
		{"restarted by a rule", func(p *corev1.Pod) { p.Status.ContainerStatuses[0].State = running }, nil}})
	say(t, good, against(good(), pods.ValidatePodStatusUpdate), []verbatim[corev1.Pod]{
		{"no rule", func(p *corev1.Pod) { p.Status.ContainerStatuses[0].State = running },
			[]string{"status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"}},
		{"debugging again", func(p *corev1.Pod) { p.Status.EphemeralContainerStatuses[0].State = running },
			[]string{"status.ephemeralContainerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"}},
		{"one address of two fields", func(p *corev1.Pod) { p.Status.PodIPs = []corev1.PodIP{{IP: "1.2.3.4"}} },
			[]string{`status.podIPs: Invalid value: [{"IP":"1.2.3.4"}]: podIP and podIPs must either both be set or both be unset`}},
		{"generations", func(p *corev1.Pod) {
			p.Status.ObservedGeneration, p.Status.Conditions = -1, []corev1.PodCondition{{Type: "ContainersReady", ObservedGeneration: -2}}
		}, []string{"status.conditions[0].observedGeneration: Invalid value: -2: must be a non-negative integer", "status.observedGeneration: Invalid value: -1: must be a non-negative integer"}},
		{"devices", func(p *corev1.Pod) {
			p.Status.ContainerStatuses[0].AllocatedResourcesStatus = []corev1.ResourceStatus{{Name: "claim:x", Resources: []corev1.ResourceHealth{{Health: "Fine"}}}}
			p.Status.EphemeralContainerStatuses[0].AllocatedResourcesStatus = []corev1.ResourceStatus{{Name: "a"}}
		}, []string{
			`status.containerStatuses[0].allocatedResourcesStatus[0].name: Invalid value: "claim:x": must match one of the container's resource claims as 'claim:<claimName>/<requestName>' when container.resources.claims[*].request is set or 'claim:<claimName>' when it is empty`,
			`status.containerStatuses[0].allocatedResourcesStatus[0].resources[0].health: Unsupported value: "Fine": supported values: "Healthy", "Unhealthy", "Unknown"`,
			"status.ephemeralContainerStatuses[0].allocatedResourcesStatus: Forbidden: must not be specified in container status"}},
		{"users", func(p *corev1.Pod) {
			p.Status.ContainerStatuses[0].User = &corev1.ContainerUser{Linux: &corev1.LinuxContainerUser{UID: 1 << 32}}
		}, []string{"status.containerStatuses[0].user.linux.uid: Invalid value: 4294967296: must be between 0 and 4294967295, inclusive"}},
	})
}
