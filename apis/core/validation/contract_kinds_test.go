package validation_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/apis/core"
	"github.com/coracle-k8s/coracle/apis/core/validation"
	"github.com/coracle-k8s/coracle/apis/core/validation/volume"
	"github.com/coracle-k8s/coracle/apis/core/warnings"
)

func TestStorageMessages(t *testing.T) {
	pv := func() *corev1.PersistentVolume {
		v := &corev1.PersistentVolume{ObjectMeta: meta(""), Spec: corev1.PersistentVolumeSpec{Capacity: list("storage", "1Gi"), AccessModes: []corev1.PersistentVolumeAccessMode{"ReadWriteOnce"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "d", VolumeHandle: "h"}}}}
		core.SetPersistentVolumeDefaults(v)
		return v
	}
	onNode := func(value string) func(*corev1.PersistentVolume) {
		return func(v *corev1.PersistentVolume) {
			v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
				{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "k", Operator: "In", Values: []string{value}}}}}}}
		}
	}
	const noLabel = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character " +
		"(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
	say(t, pv, volume.ValidatePersistentVolume, []verbatim[corev1.PersistentVolume]{
		{"a secret of the node's side without a name", func(v *corev1.PersistentVolume) { v.Spec.CSI.NodeStageSecretRef = &corev1.SecretReference{} }, nil},
		{"a secret of the controller's side without a name", func(v *corev1.PersistentVolume) { v.Spec.CSI.ControllerPublishSecretRef = &corev1.SecretReference{} },
			[]string{"spec.csi.controllerPublishSecretRef.name: Required value", "spec.csi.controllerPublishSecretRef.namespace: Required value"}},
		{"a node's label of no label's value", onNode("a/b"),
			[]string{`spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values[0]: Invalid value: "a/b": ` + noLabel}},
	})
	stored := pv()
	onNode("a/b")(stored)
	say(t, stored.DeepCopy, against(stored, volume.ValidatePersistentVolumeUpdate), []verbatim[corev1.PersistentVolume]{
		{"that it had before", func(v *corev1.PersistentVolume) { v.Labels = map[string]string{"a": "b"} }, nil}})

	claim := func() *corev1.PersistentVolumeClaim {
		c := &corev1.PersistentVolumeClaim{ObjectMeta: meta("d"), Spec: corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{"ReadWriteOnce"},
			Resources: corev1.VolumeResourceRequirements{Requests: list("storage", "1Gi")}, VolumeAttributesClassName: new("gold")}}
		core.SetPersistentVolumeClaimDefaults(c)
		return c
	}
	say(t, claim, against(claim(), volume.ValidatePersistentVolumeClaimUpdate), []verbatim[corev1.PersistentVolumeClaim]{
		{"the class of a claim that is not bound", func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeAttributesClassName = new("silver") },
			[]string{"spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"}},
	})
	bound := claim()
	bound.Status.Phase = corev1.ClaimBound
	say(t, bound.DeepCopy, against(bound, volume.ValidatePersistentVolumeClaimUpdate), []verbatim[corev1.PersistentVolumeClaim]{
		{"the class of a bound claim", func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeAttributesClassName = new("silver") }, nil}})
}

func TestServiceMessages(t *testing.T) {
	say(t, goodService, validation.ValidateService, []verbatim[corev1.Service]{
		{"in order", func(s *corev1.Service) {
			s.Spec.Ports = append(s.Spec.Ports, s.Spec.Ports[0])
			s.Spec.Type, s.Spec.SessionAffinity = "x", "y"
			s.Spec.ClusterIP = "10.0.0.2"
			s.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicy("z"))
		}, []string{"spec.ports[0].name: Required value", "spec.ports[1].name: Required value",
			`spec.sessionAffinity: Unsupported value: "y": supported values: "ClientIP", "None"`,
			"spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: first value must match `clusterIP`",
			`spec.ipFamilyPolicy: Unsupported value: "z": supported values: "PreferDualStack", "RequireDualStack", "SingleStack"`,
			`spec.type: Unsupported value: "x": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"`,
			`spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}`}},
		{"every address that is none", func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "x", []string{"x", "y", "z"} },
			[]string{`spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`,
				`spec.clusterIPs[1]: Invalid value: "y": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`,
				`spec.clusterIPs[2]: Invalid value: "z": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`,
				`spec.clusterIPs: Invalid value: ["x","y","z"]: may only hold up to 2 values`}},
	})
	const noName = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character " +
		"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
	lb := goodService()
	lb.Spec.Type, lb.Spec.ExternalTrafficPolicy, lb.Spec.HealthCheckNodePort, lb.Spec.AllocateLoadBalancerNodePorts = "LoadBalancer", "Local", 30001, new(true)
	lb.Spec.LoadBalancerSourceRanges = []string{" 010.0.0.0/8"}
	say(t, lb.DeepCopy, against(lb, validation.ValidateServiceUpdate), []verbatim[corev1.Service]{
		{"stays", func(*corev1.Service) {}, nil},
		{"once set", func(s *corev1.Service) { s.Spec.LoadBalancerClass, s.Spec.HealthCheckNodePort = new("c"), 30002 },
			[]string{`spec.loadBalancerClass: Invalid value: "c": may not change once set`, "spec.healthCheckNodePort: Forbidden: field is immutable"}},
		{"the class comes first", func(s *corev1.Service) {
			s.Spec.LoadBalancerClass, s.Spec.SessionAffinity = new("a b"), "y"
		}, []string{`spec.loadBalancerClass: Invalid value: "a b": may not change once set`, `spec.loadBalancerClass: Invalid value: "a b": ` + noName,
			`spec.sessionAffinity: Unsupported value: "y": supported values: "ClientIP", "None"`, `spec.loadBalancerClass: Invalid value: "a b": ` + noName}},
		{"another family", func(s *corev1.Service) {
			s.Spec.ClusterIP, s.Spec.ClusterIPs, s.Spec.IPFamilies = "fd00::1", []string{"fd00::1"}, []corev1.IPFamily{corev1.IPv6Protocol}
		}, []string{`spec.clusterIPs[0]: Invalid value: ["fd00::1"]: may not change once set`, `spec.ipFamilies[0]: Invalid value: ["IPv6"]: may not change once set`}},
	})
}

func TestOtherMessages(t *testing.T) {
	quota := func() *corev1.ResourceQuota { return &corev1.ResourceQuota{ObjectMeta: meta("d")} }
	say(t, quota, validation.ValidateResourceQuota, []verbatim[corev1.ResourceQuota]{
		{"what a scope cannot count", func(q *corev1.ResourceQuota) {
			q.Spec.Hard, q.Spec.Scopes = list("ephemeral-storage", "1", "services", "1", "pods", "1"), []corev1.ResourceQuotaScope{"Terminating"}
		}, []string{`spec.scopes: Invalid value: ["Terminating"]: unsupported scope applied to resource`, `spec.scopes: Invalid value: ["Terminating"]: unsupported scope applied to resource`}},
		{"a selector", func(q *corev1.ResourceQuota) {
			q.Spec.ScopeSelector = &corev1.ScopeSelector{MatchExpressions: []corev1.ScopedResourceSelectorRequirement{{ScopeName: "BestEffort", Operator: "In", Values: []string{"a"}}}}
		}, []string{`spec.scopeSelector.matchExpressions.operator: Invalid value: "In": must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity`}},
	})
	lr := func() *corev1.LimitRange {
		return &corev1.LimitRange{ObjectMeta: meta("d"), Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: "Container"}}}}
	}
	say(t, lr, validation.ValidateLimitRange, []verbatim[corev1.LimitRange]{
		{"a type", func(l *corev1.LimitRange) { l.Spec.Limits[0].Type = "x" }, []string{`spec.limits[0].type: Invalid value: "x": must be a standard limit type or fully qualified`}},
		{"defaults", func(l *corev1.LimitRange) {
			l.Spec.Limits[0].DefaultRequest, l.Spec.Limits[0].Default, l.Spec.Limits[0].Max = list("cpu", "3"), list("cpu", "2"), list("cpu", "1")
		}, []string{`spec.limits[0].defaultRequest[cpu]: Invalid value: "3": default request value 3 is greater than max value 1`,
			`spec.limits[0].defaultRequest[cpu]: Invalid value: "3": default request value 3 is greater than default limit value 2`,
			`spec.limits[0].default[cpu]: Invalid value: "1": default value 2 is greater than max value 1`}},
		{"the defaults of a pod are not compared", func(l *corev1.LimitRange) {
			l.Spec.Limits[0] = corev1.LimitRangeItem{Type: "Pod", Max: list("cpu", "1"), Default: list("cpu", "2")}
		}, []string{"spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"}},
	})
	node := func() *corev1.Node { return &corev1.Node{ObjectMeta: meta("")} }
	say(t, node, validation.ValidateNode, []verbatim[corev1.Node]{
		{"taints", func(n *corev1.Node) {
			n.Annotations = map[string]string{corev1.TaintsAnnotationKey: `[{"key":"a"}]`}
			n.Spec.Taints = []corev1.Taint{{Key: "a", Effect: "NoSchedule"}, {Key: "a", Effect: "NoSchedule"}}
		}, []string{"metadata.annotations.scheduler.alpha.kubernetes.io/taints[0].effect: Required value",
			`metadata.taints[1]: Duplicate value: {"Key":"a","Value":"","Effect":"NoSchedule","TimeAdded":null}: taints must be unique by key and effect pair`}},
		{"features", func(n *corev1.Node) { n.Status.DeclaredFeatures = []string{strings.Repeat("A", 254)} },
			[]string{`status.declaredFeatures[0]: Invalid value: "` + strings.Repeat("A", 254) + `": invalid feature name "` + strings.Repeat("A", 254) + `": must be no more than 253 characters`}},
	})
	endpoints := func() *corev1.Endpoints {
		return &corev1.Endpoints{ObjectMeta: meta("d"), Subsets: []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: "1.2.3.4"}}}}}
	}
	say(t, endpoints, validation.ValidateEndpoints, []verbatim[corev1.Endpoints]{
		{"no address at all", func(e *corev1.Endpoints) {
			e.Subsets[0].NotReadyAddresses = []corev1.EndpointAddress{{IP: "x", Hostname: "A"}}
		},
			[]string{`subsets[0].notReadyAddresses[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`,
				`subsets[0].notReadyAddresses[0].hostname: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`,
				`subsets[0].notReadyAddresses[0].ip: Invalid value: "x": must be a valid IP address`}},
	})
	secret := func() *corev1.Secret {
		return &corev1.Secret{ObjectMeta: meta("d"), Type: corev1.SecretTypeDockerConfigJson}
	}
	say(t, secret, validation.ValidateSecret, []verbatim[corev1.Secret]{
		{"nothing where there is a key", func(s *corev1.Secret) { s.Data = map[string][]byte{".dockerconfigjson": nil} },
			[]string{`data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": unexpected end of JSON input`}},
		{"no key", func(*corev1.Secret) {}, []string{"data[.dockerconfigjson]: Required value"}},
	})
	rc := func() *corev1.ReplicationController {
		r := &corev1.ReplicationController{ObjectMeta: meta("d"), Spec: corev1.ReplicationControllerSpec{Template: &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}, Spec: goodPod().Spec}}}
		core.SetReplicationControllerDefaults(r)
		return r
	}
	long := strings.Repeat("a", 254)
	say(t, rc, validation.ValidateReplicationController, []verbatim[corev1.ReplicationController]{
		{"declared rules come last", func(r *corev1.ReplicationController) { r.Spec.MinReadySeconds, r.Spec.Selector = -1, nil },
			[]string{"spec.selector: Required value", "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0"}},
		{"a long name, in the declared rules' words", func(r *corev1.ReplicationController) { r.Name = long },
			[]string{`metadata.name: Invalid value: "` + long + `": must be no more than 253 bytes`}},
	})
}

func TestWarningsVerbatim(t *testing.T) {
	warned := func(edit func(*corev1.Pod)) []string {
		p := goodPod()
		edit(p)
		return warnings.PodWarnings(p)
	}
	for name, c := range map[string]struct{ got, want []string }{
		"keys are files in each other's place": {warned(volumeOf(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s",
			Items: []corev1.KeyToPath{{Key: "a", Path: "x"}, {Key: "b", Path: "x/y"}, {Key: "c", Path: "xy"}}}})),
			[]string{`volume "v" (Secret "s"): overlapping paths: "x/y" with "x"`}},
		"sources too": {warned(volumeOf(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{},
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "c"}, Items: []corev1.KeyToPath{{Key: "a", Path: "x"}}}},
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "x"}}}}})),
			[]string{`volume "v" (Projected) has no sources provided`, `volume "v" (Projected): overlapping paths: "x" (ServiceAccountToken) with "x" (ConfigMap "c")`}},
		"ports": {warned(func(p *corev1.Pod) {
			c0(p).Ports = []corev1.ContainerPort{{Name: "a", ContainerPort: 1, Protocol: "TCP", HostIP: "1.2.3.4"}, {Name: "a", ContainerPort: 1, Protocol: "TCP", HostPort: 2}}
		}), []string{"spec.containers[0].ports[0]: hostIP set without hostPort: {Name:a HostPort:0 ContainerPort:1 Protocol:TCP HostIP:1.2.3.4}",
			"spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]",
			`spec.containers[0].ports[1]: duplicate port name "a" with spec.containers[0].ports[0], services and probes that select ports by name will use spec.containers[0].ports[0]`}},
		"a variable that adds to the one before": {warned(func(p *corev1.Pod) { c0(p).Env = []corev1.EnvVar{{Name: "A", Value: "x"}, {Name: "A", Value: "$(A)y"}} }), nil},
		"nodes that are preferred": {warned(func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{Weight: 1,
				Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "beta.kubernetes.io/arch", Operator: "In", Values: []string{"x86"}}}}}}}}
		}), []string{`spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].key: beta.kubernetes.io/arch is deprecated since v1.14; use "kubernetes.io/arch" instead`}},
		"bytes of a claim": {warnings.ClaimWarnings(&corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: list("storage", "1000000001n")}}}),
			[]string{`spec.resources.requests[storage]: fractional byte value "1000000001n" is invalid, must be an integer`}},
		"a certificate that is none": {warnings.SecretWarnings(&corev1.Secret{Type: corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": []byte("x"), "tls.key": []byte("y")}}),
			[]string{"tls: failed to find any PEM data in certificate input"}},
		"requests above limits": {warnings.QuotaWarnings(&corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{Hard: list("cpu", "2", "limits.cpu", "1")}}),
			[]string{"ResourceQuota cpu (2) should be less than limits.cpu (1)"}},
		"mountable secrets": {warnings.ServiceAccountWarnings(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"kubernetes.io/enforce-mountable-secrets": "true"}}}, nil),
			[]string{"metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"}},
		"addresses of endpoints": {warnings.EndpointsWarnings(&corev1.Endpoints{Subsets: []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: "::ffff:1.2.3.4"}}}}}),
			[]string{`subsets[0].addresses[0].ip: non-standard IP address "::ffff:1.2.3.4" is invalid: use "1.2.3.4"`}},
		"ranges of a node": {warnings.NodeWarnings(&corev1.Node{Spec: corev1.NodeSpec{DoNotUseExternalID: "x", PodCIDRs: []string{"10.0.0.0/24"}}}),
			[]string{"spec.externalID: this field is deprecated, and is unused by Kubernetes"}},
	} {
		if d := cmp.Diff(c.want, c.got); d != "" {
			t.Errorf("%s: -want +got:\n%s", name, d)
		}
	}
}

func TestTemplateWarningsOfAppArmor(t *testing.T) {
	p := goodPod()
	p.Annotations = map[string]string{"container.apparmor.security.beta.kubernetes.io/web": "unconfined"}
	template := &corev1.PodTemplateSpec{ObjectMeta: p.ObjectMeta, Spec: *p.Spec.DeepCopy()}
	const use = `annotations[container.apparmor.security.beta.kubernetes.io/web]: deprecated since v1.30; use the "appArmorProfile" field instead`
	if got := warnings.WorkloadWarnings("", template, nil); len(got) != 1 || got[0] != "spec.template.metadata."+use {
		t.Errorf("of a template: got %q", got)
	}
	if got := warnings.PodWarnings(p); len(got) > 0 {
		t.Errorf("of a pod: got %q", got)
	}
	if got := warnings.SyncAppArmor(p); len(got) != 1 || got[0] != "metadata."+use {
		t.Errorf("as the annotation becomes a field: got %q", got)
	}
	if sc := c0(p).SecurityContext; sc == nil || sc.AppArmorProfile == nil || sc.AppArmorProfile.Type != corev1.AppArmorProfileTypeUnconfined {
		t.Errorf("the annotation became %+v", sc)
	}
}

func TestPodResourcesAreCompleted(t *testing.T) {
	of := func(pod corev1.ResourceRequirements, containers ...corev1.ResourceRequirements) *corev1.Pod {
		p := &corev1.Pod{Spec: corev1.PodSpec{Resources: &pod}}
		for _, r := range containers {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Resources: r})
		}
		return p
	}
	limited := corev1.ResourceRequirements{Limits: list("memory", "1Gi"), Requests: list("cpu", "1", "memory", "1Gi")}
	for name, c := range map[string]struct {
		pod              *corev1.Pod
		requests, limits corev1.ResourceList
	}{
		"requests are what containers ask for, then the limits": {of(corev1.ResourceRequirements{Limits: list("cpu", "4", "memory", "8Gi")}, corev1.ResourceRequirements{Requests: list("cpu", "1")}),
			list("cpu", "1", "memory", "8Gi"), list("cpu", "4", "memory", "8Gi")},
		"limits are what all containers have": {of(corev1.ResourceRequirements{Requests: list("cpu", "4")}, limited, limited),
			list("cpu", "4", "memory", "2Gi"), list("memory", "2Gi")},
		"not if one has none": {of(corev1.ResourceRequirements{Requests: list("cpu", "4")}, limited, corev1.ResourceRequirements{}),
			list("cpu", "4", "memory", "1Gi"), nil},
		"pages": {of(corev1.ResourceRequirements{Requests: list("cpu", "1")}, corev1.ResourceRequirements{Limits: list("hugepages-2Mi", "2Mi"), Requests: list("hugepages-2Mi", "2Mi")}),
			list("cpu", "1", "hugepages-2Mi", "2Mi"), list("hugepages-2Mi", "2Mi")},
	} {
		core.SetPodResources(c.pod)
		if d := cmp.Diff(c.requests, c.pod.Spec.Resources.Requests); d != "" {
			t.Errorf("%s: requests -want +got:\n%s", name, d)
		}
		if d := cmp.Diff(c.limits, c.pod.Spec.Resources.Limits); d != "" {
			t.Errorf("%s: limits -want +got:\n%s", name, d)
		}
	}
}

func TestDropsOfPods(t *testing.T) {
	with := func() *corev1.PodTemplateSpec {
		p := goodPod()
		c0(p).Lifecycle = &corev1.Lifecycle{StopSignal: new(corev1.SIGTERM)}
		return &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"pod.beta.kubernetes.io/init-containers": "[]", "a": "b"}}, Spec: p.Spec}
	}
	s := with()
	core.DropDisabledTemplateFields(s, nil)
	if s.Spec.Containers[0].Lifecycle != nil || len(s.Annotations) != 1 {
		t.Errorf("a stop signal, an alpha field, or annotations of old are kept: %+v", s)
	}
	s = with()
	if core.DropDisabledTemplateFields(s, with()); s.Spec.Containers[0].Lifecycle == nil {
		t.Error("a stop signal in use is dropped")
	}
	status := corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{VolumeMounts: []corev1.VolumeMountStatus{{VolumeStatus: &corev1.VolumeStatus{}}}}}, VolumeHealth: []corev1.PodVolumeHealth{{}}}
	core.DropDisabledPodStatusFields(&status, &corev1.PodStatus{})
	if status.VolumeHealth != nil || status.ContainerStatuses[0].VolumeMounts[0].VolumeStatus != nil {
		t.Errorf("alpha fields of the status are kept: %+v", status)
	}
}
