package validation_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core"
	"github.com/coracle-k8s/coracle/apis/core/validation/pods"
)

// edit is a change to a good object, and the errors it makes, each as
// "path: type". None means that the object stays good.
type edit[T any] struct {
	name string
	edit func(*T)
	want []string
}

func run[T any](t *testing.T, good func() *T, validate func(*T) field.ErrorList, edits []edit[T]) {
	t.Helper()
	if errs := validate(good()); len(errs) > 0 {
		t.Fatalf("the good object is not: %v", errs)
	}
	for _, e := range edits {
		t.Run(e.name, func(t *testing.T) {
			o := good()
			e.edit(o)
			check(t, validate(o), e.want...)
		})
	}
}

func check(t *testing.T, errs field.ErrorList, want ...string) {
	t.Helper()
	got := []string{}
	for _, e := range errs {
		got = append(got, fmt.Sprintf("%s: %s", e.Field, e.Type))
	}
	slices.Sort(got)
	slices.Sort(want)
	if d := cmp.Diff(append([]string{}, want...), slices.Compact(got)); d != "" {
		t.Errorf("-want +got:\n%s%v", d, errs)
	}
}

func goodPod() *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", ResourceVersion: "1"},
		Spec: corev1.PodSpec{ServiceAccountName: "default",
			Containers: []corev1.Container{{Name: "web", Image: "nginx",
				VolumeMounts: []corev1.VolumeMount{{Name: "v", MountPath: "/v"}}}},
			Volumes: []corev1.Volume{{Name: "v"}}}}
	core.SetPodDefaults(p)
	return p
}

const (
	req = "Required value"
	inv = "Invalid value"
	sup = "Unsupported value"
	dup = "Duplicate value"
	fbd = "Forbidden"
	nf  = "Not found"
)

func list(pairs ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return l
}

func c0(p *corev1.Pod) *corev1.Container { return &p.Spec.Containers[0] }

func volumeOf(s corev1.VolumeSource) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.Volumes[0].VolumeSource = s }
}

func env(s corev1.EnvVarSource) func(*corev1.Pod) {
	return func(p *corev1.Pod) { c0(p).Env = []corev1.EnvVar{{Name: "E", ValueFrom: &s}} }
}

func sidecar(p *corev1.Pod) *corev1.Container {
	p.Spec.InitContainers = []corev1.Container{*c0(p).DeepCopy()}
	c := &p.Spec.InitContainers[0]
	c.Name, c.RestartPolicy = "side", new(corev1.ContainerRestartPolicyAlways)
	return c
}

func TestContainers(t *testing.T) {
	const c = "spec.containers[0]."
	run(t, goodPod, pods.ValidatePodCreate, []edit[corev1.Pod]{
		{"no containers", func(p *corev1.Pod) { p.Spec.Containers = nil }, []string{"spec.containers: " + req}},
		{"no image", func(p *corev1.Pod) { c0(p).Image = "" }, []string{c + "image: " + req}},
		{"image with space", func(p *corev1.Pod) { c0(p).Image = " x" }, []string{c + "image: " + inv}},
		{"no name", func(p *corev1.Pod) { c0(p).Name = "" }, []string{c + "name: " + req}},
		{"bad name", func(p *corev1.Pod) { c0(p).Name = "X" }, []string{c + "name: " + inv}},
		{"name twice", func(p *corev1.Pod) { p.Spec.Containers = append(p.Spec.Containers, *c0(p)) }, []string{"spec.containers[1].name: " + dup}},
		{"pull policy", func(p *corev1.Pod) { c0(p).ImagePullPolicy = "x" }, []string{c + "imagePullPolicy: " + sup}},
		{"message policy", func(p *corev1.Pod) { c0(p).TerminationMessagePolicy = "" }, []string{c + "terminationMessagePolicy: " + req}},
		{"port zero", func(p *corev1.Pod) { c0(p).Ports = []corev1.ContainerPort{{Protocol: "TCP"}} }, []string{c + "ports[0].containerPort: " + req}},
		{"ports", func(p *corev1.Pod) {
			c0(p).Ports = []corev1.ContainerPort{{ContainerPort: 70000, HostPort: -1, Protocol: "X", Name: "9"}}
		}, []string{c + "ports[0].containerPort: " + inv, c + "ports[0].hostPort: " + inv, c + "ports[0].protocol: " + sup, c + "ports[0].name: " + inv}},
		{"host port twice", func(p *corev1.Pod) {
			c0(p).Ports = []corev1.ContainerPort{{ContainerPort: 1, HostPort: 9, Protocol: "TCP"}, {ContainerPort: 2, HostPort: 9, Protocol: "TCP"}}
		}, []string{c + "ports[1].hostPort: " + dup}},
		{"env name", func(p *corev1.Pod) { c0(p).Env = []corev1.EnvVar{{Name: ""}, {Name: "a=b"}} }, []string{c + "env[0].name: " + req, c + "env[1].name: " + inv}},
		{"env of any word", func(p *corev1.Pod) { c0(p).Env = []corev1.EnvVar{{Name: "a b.c"}} }, nil},
		{"env source missing", env(corev1.EnvVarSource{}), []string{c + "env[0].valueFrom: " + inv}},
		{"env field", env(corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "status.phase"}}), []string{c + "env[0].valueFrom.fieldRef.fieldPath: " + sup}},
		{"env field unknown", env(corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "x"}}), []string{c + "env[0].valueFrom.fieldRef.fieldPath: " + inv}},
		{"env label", env(corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.labels['a/b']"}}), nil},
		{"env resource", env(corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.disk"}}), []string{c + "env[0].valueFrom.resourceFieldRef.resource: " + sup}},
		{"env divisor", env(corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu", Divisor: resource.MustParse("2")}}), []string{c + "env[0].valueFrom.resourceFieldRef.divisor: " + inv}},
		{"env key", env(corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{}}), []string{c + "env[0].valueFrom.secretKeyRef.key: " + req, c + "env[0].valueFrom.secretKeyRef.name: " + inv}},
		{"env from", func(p *corev1.Pod) { c0(p).EnvFrom = []corev1.EnvFromSource{{}} }, []string{c + "envFrom: " + inv}},
		{"mount not there", func(p *corev1.Pod) { c0(p).VolumeMounts[0].Name = "x" }, []string{c + "volumeMounts[0].name: " + nf}},
		{"mount paths", func(p *corev1.Pod) {
			c0(p).VolumeMounts = append(c0(p).VolumeMounts, corev1.VolumeMount{Name: "v", MountPath: "/v", SubPath: "/../x"})
		}, []string{c + "volumeMounts[1].mountPath: " + inv, c + "volumeMounts.subPath: " + inv}},
		{"propagation", func(p *corev1.Pod) {
			c0(p).VolumeMounts[0].MountPropagation = new(corev1.MountPropagationBidirectional)
		}, []string{c + "volumeMounts.mountPropagation: " + fbd}},
		{"recursive", func(p *corev1.Pod) { c0(p).VolumeMounts[0].RecursiveReadOnly = new(corev1.RecursiveReadOnlyEnabled) }, []string{c + "volumeMounts.recursiveReadOnly: " + fbd}},
		{"device", func(p *corev1.Pod) { c0(p).VolumeDevices = []corev1.VolumeDevice{{Name: "v", DevicePath: "/v"}} },
			[]string{c + "volumeDevices[0].devicePath: " + inv, c + "volumeDevices[0].name: " + inv, c + "volumeMounts[0].mountPath: " + inv, c + "volumeMounts[0].name: " + inv}},
		{"probe without handler", func(p *corev1.Pod) { c0(p).ReadinessProbe = &corev1.Probe{} }, []string{c + "readinessProbe: " + req}},
		{"probe with two", func(p *corev1.Pod) {
			c0(p).ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{}, TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(1)}}}
		}, []string{c + "readinessProbe.exec.command: " + req, c + "readinessProbe.tcpSocket: " + fbd}},
		{"liveness threshold", func(p *corev1.Pod) {
			c0(p).LivenessProbe = &corev1.Probe{SuccessThreshold: 2, PeriodSeconds: -1, ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{}}}
		}, []string{c + "livenessProbe.grpc.port: " + inv, c + "livenessProbe.periodSeconds: " + inv, c + "livenessProbe.successThreshold: " + inv}},
		{"hook", func(p *corev1.Pod) {
			c0(p).Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 99}}, StopSignal: new(corev1.SIGHUP)}
		}, []string{c + "lifecycle.preStop.sleep: " + inv, c + "lifecycle.stopSignal: " + fbd}},
		{"real-time signal", func(p *corev1.Pod) {
			p.Spec.OS = &corev1.PodOS{Name: corev1.Linux}
			c0(p).Lifecycle = &corev1.Lifecycle{StopSignal: new(corev1.SIGRTMINPLUS7)}
		}, nil},
		{"restart rules", func(p *corev1.Pod) { c0(p).RestartPolicyRules = []corev1.ContainerRestartRule{{}} },
			[]string{c + "restartPolicy: " + req, c + "restartPolicyRules[0].action: " + sup, c + "restartPolicyRules[0].exitCodes: " + req}},
		{"init probe", func(p *corev1.Pod) {
			s := sidecar(p)
			s.RestartPolicy, s.LivenessProbe, s.Lifecycle = nil, &corev1.Probe{}, &corev1.Lifecycle{}
		}, []string{"spec.initContainers[0].livenessProbe: " + fbd, "spec.initContainers[0].lifecycle: " + fbd}},
		{"sidecar probe", func(p *corev1.Pod) {
			sidecar(p).StartupProbe = &corev1.Probe{SuccessThreshold: 1, ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("x")}}}
		}, nil},
		{"init name", func(p *corev1.Pod) { sidecar(p).Name = "web" }, []string{"spec.initContainers[0].name: " + dup}},
		{"ephemeral on create", func(p *corev1.Pod) {
			p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon(*c0(p)), TargetContainerName: "x"}}
			p.Spec.EphemeralContainers[0].Ports = []corev1.ContainerPort{{ContainerPort: 1, Protocol: "TCP"}}
		}, []string{"spec.ephemeralContainers: " + fbd, "spec.ephemeralContainers[0].name: " + dup, "spec.ephemeralContainers[0].ports: " + fbd, "spec.ephemeralContainers[0].targetContainerName: " + nf}},
	})
}

func TestResources(t *testing.T) {
	const r = "spec.containers[0].resources"
	set := func(limits, requests corev1.ResourceList) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			c0(p).Resources = corev1.ResourceRequirements{Limits: limits, Requests: requests}
		}
	}
	run(t, goodPod, pods.ValidatePodCreate, []edit[corev1.Pod]{
		{"good", set(list("cpu", "1", "memory", "1Gi", "example.com/gpu", "1"), list("cpu", "1", "example.com/gpu", "1")), nil},
		{"request above limit", set(list("cpu", "1"), list("cpu", "2")), []string{r + ".requests: " + inv}},
		{"negative", set(list("cpu", "-1"), nil), []string{r + ".limits[cpu]: " + inv}},
		{"unknown", set(list("disk", "1"), nil), []string{r + ".limits[disk]: " + inv}},
		{"not for containers", set(list("pods", "1"), nil), []string{r + ".limits[pods]: " + inv}},
		{"extended differs", set(list("example.com/gpu", "2"), list("example.com/gpu", "1")), []string{r + ".requests: " + inv}},
		{"extended without limit", set(nil, list("example.com/gpu", "1")), []string{r + ".limits: " + req}},
		{"half a device", set(list("example.com/gpu", "500m"), nil), []string{r + ".limits[example.com/gpu]: " + inv}},
		{"huge pages alone", set(list("hugepages-2Mi", "2Mi"), nil), []string{r + ": " + fbd}},
		{"part of a page", set(list("hugepages-2Mi", "3Mi", "cpu", "1"), nil), []string{r + ".limits[hugepages-2Mi]: " + inv}},
		{"claim", func(p *corev1.Pod) {
			c0(p).Resources.Claims = []corev1.ResourceClaim{{Name: "a"}, {Name: "b"}, {Name: "b"}}
			p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "b"}}
		}, []string{r + ".claims[0]: " + nf, r + ".claims[2]: " + dup, "spec.resourceClaims[0]: " + inv}},
		{"pod level", func(p *corev1.Pod) {
			c0(p).Resources.Requests = list("cpu", "2")
			p.Spec.Resources = &corev1.ResourceRequirements{Requests: list("cpu", "1", "ephemeral-storage", "1")}
		}, []string{"spec.resources.requests[cpu]: " + inv, "spec.resources.requests[ephemeral-storage]: " + sup}},
		{"resize policy", func(p *corev1.Pod) {
			c0(p).ResizePolicy = []corev1.ContainerResizePolicy{{ResourceName: "cpu", RestartPolicy: "NotRequired"}, {ResourceName: "cpu", RestartPolicy: "x"}}
		}, []string{"spec.containers[0].resizePolicy[1]: " + dup, "spec.containers[0].resizePolicy: " + sup}},
	})
}

func TestVolumes(t *testing.T) {
	const v = "spec.volumes[0]."
	long, hour := int64(1<<40), int64(3600)
	unmounted := func() *corev1.Pod { // a volume that is wrong is none to mount
		p := goodPod()
		c0(p).VolumeMounts = nil
		return p
	}
	run(t, unmounted, pods.ValidatePodCreate, []edit[corev1.Pod]{
		{"no type", volumeOf(corev1.VolumeSource{}), []string{"spec.volumes[0]: " + req}},
		{"two types", volumeOf(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}, NFS: &corev1.NFSVolumeSource{}}), []string{v + "nfs: " + fbd}},
		{"no name", func(p *corev1.Pod) {
			p.Spec.Volumes = append(p.Spec.Volumes, p.Spec.Volumes[0], corev1.Volume{VolumeSource: p.Spec.Volumes[0].VolumeSource})
		},
			[]string{"spec.volumes[1].name: " + dup, "spec.volumes[2].name: " + req}},
		{"host path", volumeOf(corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/a/../b", Type: new(corev1.HostPathType("x"))}}), []string{v + "hostPath.path: " + inv, v + "hostPath.type: " + sup}},
		{"secret", volumeOf(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{DefaultMode: new(int32(0o1777)), Items: []corev1.KeyToPath{{Path: "/a"}}}}),
			[]string{v + "secret.secretName: " + req, v + "secret.defaultMode: " + inv, v + "secret.items[0].key: " + req, v + "secret.items[0].path: " + inv}},
		{"config map", volumeOf(corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}), []string{v + "configMap.name: " + req}},
		{"claim", volumeOf(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{}}), []string{v + "persistentVolumeClaim.claimName: " + req}},
		{"downward", volumeOf(corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{{Path: "..a"}}}}), []string{v + "downwardAPI: " + req, v + "downwardAPI.path: " + inv}},
		{"token", volumeOf(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: &long}}, {}}}}),
			[]string{v + "projected.sources[0].serviceAccountToken.expirationSeconds: " + inv, v + "projected.path: " + req}},
		{"same path, which is warned of", volumeOf(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "a", ExpirationSeconds: &hour}}, {ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "a", ExpirationSeconds: &hour}}}}}),
			nil},
		{"certificate", volumeOf(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{PodCertificate: &corev1.PodCertificateProjection{SignerName: "a", KeyType: "DSA", KeyPath: "k", MaxExpirationSeconds: new(int32(3599)), UserAnnotations: map[string]string{"short": ""}}},
			{PodCertificate: &corev1.PodCertificateProjection{SignerName: "kubernetes.io/x", KeyType: "ED25519", KeyPath: "l", MaxExpirationSeconds: new(int32(86401))}}}}}),
			[]string{v + "projected.sources[0].podCertificate.signerName: " + inv, v + "projected.sources[0].podCertificate.userAnnotations: " + inv, v + "projected.sources[0].podCertificate.keyType: " + sup,
				v + "projected.sources[0].podCertificate.maxExpirationSeconds: " + inv, v + "projected.sources[1].podCertificate.maxExpirationSeconds: " + inv}},
		{"csi", volumeOf(corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "a_b"}}), []string{v + "csi.driver: " + inv}},
		{"image", volumeOf(corev1.VolumeSource{Image: &corev1.ImageVolumeSource{PullPolicy: "Always"}}), []string{v + "image.reference: " + req}},
		{"ephemeral", volumeOf(corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{ObjectMeta: metav1.ObjectMeta{Name: "x"}}}}),
			[]string{v + "ephemeral.volumeClaimTemplate.metadata.name: " + fbd, v + "ephemeral.volumeClaimTemplate.spec.accessModes: " + req, v + "ephemeral.volumeClaimTemplate.spec.resources[storage]: " + req}},
		{"nfs", volumeOf(corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Path: "x"}}), []string{v + "nfs.path: " + inv, v + "nfs.server: " + req}},
		{"iscsi", volumeOf(corev1.VolumeSource{ISCSI: &corev1.ISCSIVolumeSource{IQN: "x", TargetPortal: "p", Lun: 300}}), []string{v + "iscsi.iqn: " + inv, v + "iscsi.lun: " + inv}},
		{"git", volumeOf(corev1.VolumeSource{GitRepo: &corev1.GitRepoVolumeSource{Directory: "../x"}}), []string{v + "gitRepo.repository: " + req, v + "gitRepo.directory: " + inv}},
		{"token without account", func(p *corev1.Pod) {
			p.Spec.ServiceAccountName = ""
			p.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "a", ExpirationSeconds: &hour}}}}}
		}, []string{v + "projected.sources[0].serviceAccountToken: " + fbd}},
	})
}

func TestPodSpec(t *testing.T) {
	no := false
	run(t, goodPod, pods.ValidatePodCreate, []edit[corev1.Pod]{
		{"name", func(p *corev1.Pod) { p.Name = "X" }, []string{"metadata.name: " + inv}},
		{"namespace", func(p *corev1.Pod) { p.Namespace = "" }, []string{"metadata.namespace: " + req}},
		{"restart policy", func(p *corev1.Pod) { p.Spec.RestartPolicy = "x" }, []string{"spec.restartPolicy: " + sup}},
		{"restart policy missing", func(p *corev1.Pod) { p.Spec.RestartPolicy = "" }, []string{"spec.restartPolicy: " + req}},
		{"dns policy", func(p *corev1.Pod) { p.Spec.DNSPolicy = "x" }, []string{"spec.dnsPolicy: " + sup}},
		{"dns none", func(p *corev1.Pod) { p.Spec.DNSPolicy = "None" }, []string{"spec.dnsConfig: " + req}},
		{"dns config", func(p *corev1.Pod) {
			p.Spec.DNSConfig = &corev1.PodDNSConfig{Nameservers: []string{"1.2.3.4", "1.2.3.5", "1.2.3.6", "x"}, Searches: []string{"-", "a_b.", "."}, Options: []corev1.PodDNSConfigOption{{}}}
		}, []string{"spec.dnsConfig.nameservers: " + inv, "spec.dnsConfig.nameservers[3]: " + inv, "spec.dnsConfig.searches[0]: " + inv, "spec.dnsConfig.options[0]: " + req}},
		{"deadline", func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = new(int64(0)) }, []string{"spec.activeDeadlineSeconds: " + inv}},
		{"names", func(p *corev1.Pod) {
			p.Spec.Hostname, p.Spec.Subdomain, p.Spec.NodeName, p.Spec.ServiceAccountName, p.Spec.PriorityClassName = "a.b", "A", "N", "S", "P"
		}, []string{"spec.hostname: " + inv, "spec.subdomain: " + inv, "spec.nodeName: " + inv, "spec.serviceAccountName: " + inv, "spec.priorityClassName: " + inv}},
		{"host alias", func(p *corev1.Pod) { p.Spec.HostAliases = []corev1.HostAlias{{IP: "x", Hostnames: []string{"_"}}} }, []string{"spec.hostAliases[0].ip: " + inv, "spec.hostAliases[0].hostnames[0]: " + inv}},
		{"host network port", func(p *corev1.Pod) {
			p.Spec.HostNetwork = true
			c0(p).Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: 81, Protocol: "TCP"}}
		}, []string{"spec.containers[0].ports[0].hostPort: " + inv}},
		{"host users", func(p *corev1.Pod) { p.Spec.HostUsers, p.Spec.HostNetwork, p.Spec.HostIPC = &no, true, true }, []string{"spec.hostNetwork: " + fbd, "spec.HostIPC: " + fbd}},
		{"gates", func(p *corev1.Pod) {
			p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "a"}, {Name: "a"}, {Name: "-"}}
			p.Spec.NodeName = "n"
		},
			[]string{"spec.schedulingGates[1]: " + dup, "spec.schedulingGates[2]: " + inv, "spec.nodeName: " + fbd}},
		{"overhead", func(p *corev1.Pod) { p.Spec.Overhead = list("cpu", "-1") }, []string{"spec.overhead.limits[cpu]: " + inv}},
		{"os", func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows}; p.Spec.HostPID = true }, []string{"spec.hostPID: " + fbd}},
		{"hostname override", func(p *corev1.Pod) { p.Spec.HostnameOverride = new(strings.Repeat("a", 65)); p.Spec.HostNetwork = true }, []string{"spec.hostnameOverride: " + fbd, "spec.hostnameOverride: Too long", "spec.hostnameOverride: " + inv}[:2]},
		{"deletion cost", func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.PodDeletionCost: "x"} }, []string{"metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: " + inv}},
		{"mirror", func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} }, []string{"metadata.annotations[kubernetes.io/config.mirror]: " + inv}},
	})
}

func TestSecurity(t *testing.T) {
	yes, no, neg := true, false, int64(-1)
	const s, ps = "spec.containers[0].securityContext", "spec.securityContext."
	sc := func(x corev1.SecurityContext) func(*corev1.Pod) {
		return func(p *corev1.Pod) { c0(p).SecurityContext = &x }
	}
	run(t, goodPod, pods.ValidatePodCreate, []edit[corev1.Pod]{
		{"ids", sc(corev1.SecurityContext{RunAsUser: &neg, RunAsGroup: &neg}), []string{s + ".runAsUser: " + inv, s + ".runAsGroup: " + inv}},
		{"escalation", sc(corev1.SecurityContext{Privileged: &yes, AllowPrivilegeEscalation: &no}), []string{s + ": " + inv}},
		{"proc mount", sc(corev1.SecurityContext{ProcMount: new(corev1.UnmaskedProcMount)}), []string{s + ".procMount: " + inv}},
		{"seccomp", sc(corev1.SecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost}}), []string{s + ".seccompProfile.localhostProfile: " + req}},
		{"apparmor", sc(corev1.SecurityContext{AppArmorProfile: &corev1.AppArmorProfile{Type: "x"}}), []string{s + ".appArmorProfile.type: " + sup}},
		{"windows", sc(corev1.SecurityContext{WindowsOptions: &corev1.WindowsSecurityContextOptions{RunAsUserName: new(`a\b\c`)}}), []string{s + ".windowsOptions.runAsUserName: " + inv}},
		{"pod", func(p *corev1.Pod) {
			p.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: &neg, SupplementalGroups: []int64{-1}, FSGroupChangePolicy: new(corev1.PodFSGroupChangePolicy("x")), Sysctls: []corev1.Sysctl{{}, {Name: "net/ipv4.x"}, {Name: "A"}}}
			p.Spec.HostNetwork = true
		}, []string{ps + "fsGroup: " + inv, ps + "supplementalGroups[0]: " + inv, ps + "fsGroupChangePolicy: " + sup, ps + "sysctls[0].name: " + req, ps + "sysctls[1].name: " + inv, ps + "sysctls[2].name: " + inv}},
	})
}

func TestScheduling(t *testing.T) {
	one := int64(1)
	node := func(terms ...corev1.NodeSelectorTerm) *corev1.Affinity {
		return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms}}}
	}
	const na = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
	run(t, goodPod, pods.ValidatePodCreate, []edit[corev1.Pod]{
		{"selector", func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"a": "-"} }, []string{"spec.nodeSelector: " + inv}},
		{"no terms", func(p *corev1.Pod) { p.Spec.Affinity = node() }, []string{na + ": " + req}},
		{"term", func(p *corev1.Pod) {
			p.Spec.Affinity = node(corev1.NodeSelectorTerm{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "-", Operator: "In"}, {Key: "a", Operator: "x"}, {Key: "a", Operator: "Exists", Values: []string{"b"}}},
				MatchFields:      []corev1.NodeSelectorRequirement{{Key: "spec.x", Operator: "In", Values: []string{"b"}}}})
		}, []string{na + "[0].matchExpressions[0].key: " + inv, na + "[0].matchExpressions[0].values: " + req, na + "[0].matchExpressions[1].operator: " + inv,
			na + "[0].matchExpressions[2].values: " + fbd, na + "[0].matchFields[0].key: " + inv}},
		{"pod affinity", func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{Weight: 101, PodAffinityTerm: corev1.PodAffinityTerm{MatchLabelKeys: []string{"a"}}}}}}
		}, []string{"spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: " + inv,
			"spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey: " + req,
			"spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey: " + inv,
			"spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.matchLabelKeys: " + fbd}},
		{"tolerations", func(p *corev1.Pod) {
			p.Spec.Tolerations = []corev1.Toleration{{}, {Key: "a", Operator: "Exists", Value: "x"}, {Key: "a", Operator: "x"}, {Key: "a", Effect: "x"}, {Key: "a", TolerationSeconds: &one}}
		}, []string{"spec.tolerations[0].operator: " + inv, "spec.tolerations[1].operator: " + inv, "spec.tolerations[2].operator: " + sup, "spec.tolerations[3].effect: " + sup, "spec.tolerations[4].effect: " + inv}},
		{"spread", func(p *corev1.Pod) {
			c := corev1.TopologySpreadConstraint{MaxSkew: 1, TopologyKey: "zone", WhenUnsatisfiable: corev1.ScheduleAnyway, MinDomains: new(int32(1))}
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{}, c, c}
		}, []string{"spec.topologySpreadConstraints[0].maxSkew: " + inv, "spec.topologySpreadConstraints[0].topologyKey: " + req, "spec.topologySpreadConstraints[0].whenUnsatisfiable: " + sup,
			"spec.topologySpreadConstraints[1].minDomains: " + inv, "spec.topologySpreadConstraints[2].minDomains: " + inv, "spec.topologySpreadConstraints[1].{topologyKey, whenUnsatisfiable}: " + dup}},
	})
}

// Users know these by heart and grep for them.
func TestMessages(t *testing.T) {
	p := goodPod()
	c0(p).Image, c0(p).Name = "", "X"
	msgs := pods.ValidatePodCreate(p).ToAggregate().Error()
	for _, want := range []string{"spec.containers[0].image: Required value",
		`spec.containers[0].name: Invalid value: "X": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'`} {
		if !strings.Contains(msgs, want) {
			t.Errorf("%q is not in %q", want, msgs)
		}
	}
	old, p := goodPod(), goodPod()
	p.Spec.Hostname = "other"
	msgs = pods.ValidatePodUpdate(p, old).ToAggregate().Error()
	if want := "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"; !strings.Contains(msgs, want) {
		t.Errorf("%q is not in %q", want, msgs)
	}
}
