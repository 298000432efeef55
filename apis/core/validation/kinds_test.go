package validation_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/coracle-k8s/coracle/apis/core"
	"github.com/coracle-k8s/coracle/apis/core/validation"
	"github.com/coracle-k8s/coracle/apis/core/validation/volume"
	"github.com/coracle-k8s/coracle/apis/core/warnings"
)

func meta(namespace string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: "x", Namespace: namespace, ResourceVersion: "1"}
}

func goodService() *corev1.Service {
	s := &corev1.Service{ObjectMeta: meta("default"), Spec: corev1.ServiceSpec{
		ClusterIP: "10.0.0.1", ClusterIPs: []string{"10.0.0.1"}, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
		Ports: []corev1.ServicePort{{Port: 80}}}}
	core.SetServiceDefaults(s)
	return s
}

func TestService(t *testing.T) {
	run(t, goodService, validation.ValidateService, []edit[corev1.Service]{
		{"name", func(s *corev1.Service) { s.Name = "x.y" }, []string{"metadata.name: " + inv}},
		{"no ports", func(s *corev1.Service) { s.Spec.Ports = nil }, []string{"spec.ports: " + req}},
		{"headless", func(s *corev1.Service) {
			s.Spec.Ports, s.Spec.ClusterIP, s.Spec.ClusterIPs = nil, "None", []string{"None"}
		}, nil},
		{"type", func(s *corev1.Service) { s.Spec.Type = "x" }, []string{"spec.type: " + sup}},
		{"affinity", func(s *corev1.Service) { s.Spec.SessionAffinity = "ClientIP" }, []string{"spec.sessionAffinityConfig: " + req}},
		{"port", func(s *corev1.Service) {
			s.Spec.Ports[0] = corev1.ServicePort{Port: 0, Protocol: "X", TargetPort: intstr.FromString("_"), Name: "A", AppProtocol: new("-")}
		},
			[]string{"spec.ports[0].port: " + inv, "spec.ports[0].protocol: " + sup, "spec.ports[0].targetPort: " + inv, "spec.ports[0].name: " + inv, "spec.ports[0].appProtocol: " + inv}},
		{"unnamed of two", func(s *corev1.Service) { s.Spec.Ports = append(s.Spec.Ports, s.Spec.Ports[0]) }, []string{"spec.ports[0].name: " + req, "spec.ports[1].name: " + req, "spec.ports[1]: " + dup}},
		{"node port", func(s *corev1.Service) { s.Spec.Ports[0].NodePort = 30000 }, []string{"spec.ports[0].nodePort: " + fbd}},
		{"cluster ips differ", func(s *corev1.Service) { s.Spec.ClusterIP = "10.0.0.2" }, []string{"spec.clusterIPs: " + inv}},
		{"family", func(s *corev1.Service) { s.Spec.IPFamilies[0] = corev1.IPv6Protocol }, []string{"spec.clusterIPs[0]: " + inv}},
		{"bad ip", func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "x", []string{"x"} }, []string{"spec.clusterIPs[0]: " + inv}},
		{"external ips", func(s *corev1.Service) {
			s.Spec.ExternalIPs = []string{"127.0.0.1", "x"}
			s.Spec.ExternalTrafficPolicy = "Cluster"
		}, []string{"spec.externalIPs[0]: " + inv, "spec.externalIPs[1]: " + inv}},
		{"external policy", func(s *corev1.Service) { s.Spec.ExternalTrafficPolicy = "Local" }, []string{"spec.externalTrafficPolicy: " + inv}},
		{"health port", func(s *corev1.Service) { s.Spec.HealthCheckNodePort = 1 }, []string{"spec.healthCheckNodePort: " + inv}},
		{"internal policy", func(s *corev1.Service) { s.Spec.InternalTrafficPolicy = nil }, []string{"spec.internalTrafficPolicy: " + req}},
		{"distribution", func(s *corev1.Service) { s.Spec.TrafficDistribution = new("x") }, []string{"spec.trafficDistribution: " + sup}},
		{"external name", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName }, []string{"spec.externalName: " + req, "spec.clusterIPs: " + fbd, "spec.ipFamilies: " + fbd}},
		{"load balancer fields", func(s *corev1.Service) {
			s.Spec.LoadBalancerSourceRanges = []string{"x"}
			s.Spec.LoadBalancerClass = new("a")
			s.Spec.AllocateLoadBalancerNodePorts = new(true)
		},
			[]string{"spec.LoadBalancerSourceRanges: " + fbd, "spec.LoadBalancerSourceRanges[0]: " + inv, "spec.loadBalancerClass: " + fbd, "spec.allocateLoadBalancerNodePorts: " + fbd}},
	})
	run(t, goodService, against(goodService(), validation.ValidateServiceUpdate), []edit[corev1.Service]{
		{"cluster ip", func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "10.0.0.2", []string{"10.0.0.2"} }, []string{"spec.clusterIPs[0]: " + inv}},
		{"ports", func(s *corev1.Service) { s.Spec.Ports[0].Port = 81 }, nil},
	})
}

func TestNodeAndNamespace(t *testing.T) {
	node := func() *corev1.Node {
		return &corev1.Node{ObjectMeta: meta(""), Spec: corev1.NodeSpec{PodCIDR: "10.0.0.0/24", PodCIDRs: []string{"10.0.0.0/24"}, ProviderID: "p"}}
	}
	run(t, node, validation.ValidateNode, []edit[corev1.Node]{
		{"taints", func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: "a", Effect: "NoSchedule"}, {Key: "a", Effect: "NoSchedule"}, {Key: "-", Effect: ""}}
		},
			[]string{"metadata.taints[1]: " + dup, "metadata.taints[2].key: " + inv, "metadata.taints[2].effect: " + req}},
		{"features", func(n *corev1.Node) { n.Status.DeclaredFeatures = []string{"b", "A/b", "A/b"} },
			[]string{"status.declaredFeatures[0]: " + inv, "status.declaredFeatures[1]: " + inv, "status.declaredFeatures[2]: " + dup}},
		{"cidrs", func(n *corev1.Node) { n.Spec.PodCIDRs = []string{"10.0.0.0/24", "10.1.0.0/24"} }, []string{"spec.podCIDRs: " + inv}},
		{"capacity", func(n *corev1.Node) { n.Status.Capacity = list("cpu", "-1") }, []string{"status.capacity.cpu: " + inv}},
	})
	run(t, node, against(node(), validation.ValidateNodeUpdate), []edit[corev1.Node]{
		{"unschedulable", func(n *corev1.Node) { n.Spec.Unschedulable = true }, nil},
		{"cidr", func(n *corev1.Node) { n.Spec.PodCIDRs = nil }, []string{"spec.podCIDRs: " + fbd}},
		{"provider", func(n *corev1.Node) { n.Spec.ProviderID = "q" }, []string{"spec.providerID: " + inv}},
	})
	ns := func() *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: meta(""), Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}}
	}
	run(t, ns, validation.ValidateNamespace, []edit[corev1.Namespace]{
		{"name", func(n *corev1.Namespace) { n.Name = "a.b" }, []string{"metadata.name: " + inv}},
		{"finalizer", func(n *corev1.Namespace) { n.Spec.Finalizers = []corev1.FinalizerName{"kubernetes", "ab"} }, []string{"spec.finalizers: " + inv}},
	})
	run(t, ns, against(ns(), validation.ValidateNamespaceStatusUpdate), []edit[corev1.Namespace]{
		{"phase", func(n *corev1.Namespace) { n.Status.Phase = corev1.NamespaceTerminating }, []string{"status.Phase: " + inv}},
	})
}

func TestConfigMapAndSecret(t *testing.T) {
	cm := func() *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: meta("d"), Data: map[string]string{"a": "b"}}
	}
	run(t, cm, validation.ValidateConfigMap, []edit[corev1.ConfigMap]{
		{"key", func(c *corev1.ConfigMap) { c.Data["a b"] = "" }, []string{"data[a b]: " + inv}},
		{"both", func(c *corev1.ConfigMap) { c.BinaryData = map[string][]byte{"a": nil} }, []string{"data[a]: " + inv}},
		{"size", func(c *corev1.ConfigMap) { c.Data["b"] = strings.Repeat("x", 1<<20) }, []string{"[]: Too long"}},
	})
	frozen := cm()
	frozen.Immutable = new(true)
	run(t, frozen.DeepCopy, against(frozen, validation.ValidateConfigMapUpdate), []edit[corev1.ConfigMap]{
		{"data", func(c *corev1.ConfigMap) { c.Data["b"] = "" }, []string{"data: " + fbd}},
		{"thaw", func(c *corev1.ConfigMap) { c.Immutable = nil }, []string{"immutable: " + fbd}},
	})
	secret := func() *corev1.Secret { return &corev1.Secret{ObjectMeta: meta("d"), Type: "Opaque"} }
	of := func(t corev1.SecretType, data map[string][]byte) func(*corev1.Secret) {
		return func(s *corev1.Secret) { s.Type, s.Data = t, data }
	}
	run(t, secret, validation.ValidateSecret, []edit[corev1.Secret]{
		{"key", of("Opaque", map[string][]byte{"..": nil}), []string{"data[..]: " + inv}},
		{"size", of("Opaque", map[string][]byte{"a": make([]byte, 1<<20+1)}), []string{"data: Too long"}},
		{"token", of(corev1.SecretTypeServiceAccountToken, nil), []string{"metadata.annotations[kubernetes.io/service-account.name]: " + req}},
		{"docker", of(corev1.SecretTypeDockerConfigJson, map[string][]byte{".dockerconfigjson": []byte("x")}), []string{"data[.dockerconfigjson]: " + inv}},
		{"dockercfg", of(corev1.SecretTypeDockercfg, nil), []string{"data[.dockercfg]: " + req}},
		{"basic", of(corev1.SecretTypeBasicAuth, nil), []string{"data[username]: " + req, "data[password]: " + req}},
		{"ssh", of(corev1.SecretTypeSSHAuth, nil), []string{"data[ssh-privatekey]: " + req}},
		{"tls", of(corev1.SecretTypeTLS, map[string][]byte{"tls.crt": nil}), []string{"data[tls.key]: " + req}},
	})
	run(t, secret, against(secret(), validation.ValidateSecretUpdate), []edit[corev1.Secret]{
		{"type", func(s *corev1.Secret) { s.Type = "x" }, []string{"type: " + inv}},
	})
	sa := func() *corev1.ServiceAccount { return &corev1.ServiceAccount{ObjectMeta: meta("d")} }
	run(t, sa, validation.ValidateServiceAccount, []edit[corev1.ServiceAccount]{{"name", func(s *corev1.ServiceAccount) { s.Name = "" }, []string{"metadata.name: " + req}}})
}

func TestEndpoints(t *testing.T) {
	ep := func() *corev1.Endpoints {
		return &corev1.Endpoints{ObjectMeta: meta("d"), Subsets: []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: "10.0.0.1"}}, Ports: []corev1.EndpointPort{{Port: 80, Protocol: "TCP"}}}}}
	}
	run(t, ep, validation.ValidateEndpoints, []edit[corev1.Endpoints]{
		{"no address", func(e *corev1.Endpoints) { e.Subsets[0].Addresses = nil }, []string{"subsets[0]: " + req}},
		{"address", func(e *corev1.Endpoints) { e.Subsets[0].Addresses[0] = corev1.EndpointAddress{IP: "127.0.0.1"} }, []string{"subsets[0].addresses[0].ip: " + inv}},
		{"hostname", func(e *corev1.Endpoints) { e.Subsets[0].Addresses[0].Hostname = "A" }, []string{"subsets[0].addresses[0].hostname: " + inv}},
		{"port", func(e *corev1.Endpoints) { e.Subsets[0].Ports[0] = corev1.EndpointPort{} }, []string{"subsets[0].ports[0].port: " + inv, "subsets[0].ports[0].protocol: " + req}},
	})
}

func TestQuotaAndLimits(t *testing.T) {
	quota := func() *corev1.ResourceQuota {
		return &corev1.ResourceQuota{ObjectMeta: meta("d"), Spec: corev1.ResourceQuotaSpec{Hard: list("pods", "1", "requests.cpu", "1", "count/deployments.apps", "2")}}
	}
	run(t, quota, validation.ValidateResourceQuota, []edit[corev1.ResourceQuota]{
		{"name", func(q *corev1.ResourceQuota) { q.Spec.Hard = list("storage", "1") }, []string{"spec.hard[storage]: " + inv}},
		{"fraction", func(q *corev1.ResourceQuota) { q.Spec.Hard = list("pods", "1.5") }, []string{"spec.hard[pods]: " + inv}},
		{"scope", func(q *corev1.ResourceQuota) { q.Spec.Scopes = []corev1.ResourceQuotaScope{"x"} }, []string{"spec.scopes: " + inv}},
		{"conflict", func(q *corev1.ResourceQuota) {
			q.Spec.Hard, q.Spec.Scopes = list("pods", "1"), []corev1.ResourceQuotaScope{"BestEffort", "NotBestEffort"}
		}, []string{"spec.scopes: " + inv}},
		{"selector", func(q *corev1.ResourceQuota) {
			q.Spec.ScopeSelector = &corev1.ScopeSelector{MatchExpressions: []corev1.ScopedResourceSelectorRequirement{{ScopeName: "PriorityClass", Operator: "In"}}}
		}, []string{"spec.scopeSelector.matchExpressions.values: " + req}},
	})
	run(t, quota, against(quota(), validation.ValidateResourceQuotaUpdate), []edit[corev1.ResourceQuota]{
		{"scopes", func(q *corev1.ResourceQuota) { q.Spec.Scopes = []corev1.ResourceQuotaScope{"Terminating"} }, []string{"spec.scopes: " + inv}},
	})
	lr := func() *corev1.LimitRange {
		l := &corev1.LimitRange{ObjectMeta: meta("d"), Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: "Container", Max: list("cpu", "4"), Min: list("cpu", "1"), Default: list("cpu", "2")}}}}
		core.SetLimitRangeDefaults(l)
		return l
	}
	l0 := "spec.limits[0]."
	run(t, lr, validation.ValidateLimitRange, []edit[corev1.LimitRange]{
		{"type twice", func(l *corev1.LimitRange) { l.Spec.Limits = append(l.Spec.Limits, l.Spec.Limits[0]) }, []string{"spec.limits[1].type: " + dup}},
		{"type", func(l *corev1.LimitRange) { l.Spec.Limits[0].Type = "x y" }, []string{l0 + "type: " + inv}},
		{"order", func(l *corev1.LimitRange) { l.Spec.Limits[0].Default = list("cpu", "5") }, []string{l0 + "default[cpu]: " + inv}},
		{"ratio", func(l *corev1.LimitRange) { l.Spec.Limits[0].MaxLimitRequestRatio = list("cpu", "500m") }, []string{l0 + "maxLimitRequestRatio[cpu]: " + inv}},
		{"pod default", func(l *corev1.LimitRange) { l.Spec.Limits[0].Type = "Pod" }, []string{l0 + "default: " + fbd, l0 + "defaultRequest: " + fbd}},
		{"claim", func(l *corev1.LimitRange) { l.Spec.Limits[0] = corev1.LimitRangeItem{Type: "PersistentVolumeClaim"} }, []string{l0 + "limits: " + req}},
	})
}

func TestReplicationControllerAndTemplate(t *testing.T) {
	rc := func() *corev1.ReplicationController {
		p := goodPod()
		r := &corev1.ReplicationController{ObjectMeta: meta("d"), Spec: corev1.ReplicationControllerSpec{Template: &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}, Spec: p.Spec}}}
		core.SetReplicationControllerDefaults(r)
		return r
	}
	tpl := "spec.template."
	run(t, rc, validation.ValidateReplicationController, []edit[corev1.ReplicationController]{
		{"replicas", func(r *corev1.ReplicationController) { *r.Spec.Replicas = -1 }, []string{"spec.replicas: " + inv}},
		{"selector", func(r *corev1.ReplicationController) { r.Spec.Selector = map[string]string{"a": "c"} }, []string{tpl + "metadata.labels: " + inv}},
		{"no selector", func(r *corev1.ReplicationController) { r.Spec.Selector = nil }, []string{"spec.selector: " + req}},
		{"no template", func(r *corev1.ReplicationController) { r.Spec.Template = nil }, []string{"spec.template: " + req}},
		{"policy", func(r *corev1.ReplicationController) { r.Spec.Template.Spec.RestartPolicy = "Never" }, []string{tpl + "spec.restartPolicy: " + sup}},
		{"image", func(r *corev1.ReplicationController) { r.Spec.Template.Spec.Containers[0].Image = "" }, []string{tpl + "spec.containers[0].image: " + req}},
	})
	run(t, rc, against(rc(), validation.ValidateReplicationControllerStatusUpdate), []edit[corev1.ReplicationController]{
		{"ready", func(r *corev1.ReplicationController) { r.Status.ReadyReplicas = 1 }, []string{"status.readyReplicas: " + inv}},
		{"negative", func(r *corev1.ReplicationController) { r.Status.ObservedGeneration = -1 }, []string{"status.observedGeneration: " + inv}},
	})
	pt := func() *corev1.PodTemplate {
		return &corev1.PodTemplate{ObjectMeta: meta("d"), Template: *rc().Spec.Template}
	}
	run(t, pt, validation.ValidatePodTemplate, []edit[corev1.PodTemplate]{
		{"containers", func(p *corev1.PodTemplate) { p.Template.Spec.Containers = nil }, []string{"template.spec.containers: " + req}},
		{"labels", func(p *corev1.PodTemplate) { p.Template.Labels["-"] = "" }, []string{"template.labels: " + inv}},
	})
}

func TestStorage(t *testing.T) {
	pv := func() *corev1.PersistentVolume {
		v := &corev1.PersistentVolume{ObjectMeta: meta(""), Spec: corev1.PersistentVolumeSpec{Capacity: list("storage", "1Gi"), AccessModes: []corev1.PersistentVolumeAccessMode{"ReadWriteOnce"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/x"}}}}
		core.SetPersistentVolumeDefaults(v)
		return v
	}
	run(t, pv, volume.ValidatePersistentVolume, []edit[corev1.PersistentVolume]{
		{"capacity", func(v *corev1.PersistentVolume) { v.Spec.Capacity = nil }, []string{"spec.capacity: " + req, "spec.capacity: " + sup}},
		{"zero", func(v *corev1.PersistentVolume) { v.Spec.Capacity = list("storage", "0") }, []string{"spec.capacity[storage]: " + inv}},
		{"modes", func(v *corev1.PersistentVolume) {
			v.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{"x", "ReadWriteOncePod"}
		}, []string{"spec.accessModes: " + sup}},
		{"source", func(v *corev1.PersistentVolume) { v.Spec.HostPath = nil }, []string{"spec: " + req}},
		{"local", func(v *corev1.PersistentVolume) {
			v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{}}
		}, []string{"spec.local.path: " + req, "spec.nodeAffinity: " + req}},
		{"csi", func(v *corev1.PersistentVolume) {
			v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "d", NodeStageSecretRef: &corev1.SecretReference{Name: "n"}}}
		}, []string{"spec.csi.volumeHandle: " + req}},
	})
	run(t, pv, against(pv(), volume.ValidatePersistentVolumeUpdate), []edit[corev1.PersistentVolume]{
		{"source", func(v *corev1.PersistentVolume) { v.Spec.HostPath.Path = "/y" }, []string{"spec.persistentvolumesource: " + fbd}},
		{"policy", func(v *corev1.PersistentVolume) { v.Spec.PersistentVolumeReclaimPolicy = "Delete" }, nil},
	})
	pvc := func() *corev1.PersistentVolumeClaim {
		c := &corev1.PersistentVolumeClaim{ObjectMeta: meta("d"), Spec: corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{"ReadWriteOnce"}, Resources: corev1.VolumeResourceRequirements{Requests: list("storage", "2Gi")}}}
		core.SetPersistentVolumeClaimDefaults(c)
		return c
	}
	run(t, pvc, volume.ValidatePersistentVolumeClaim, []edit[corev1.PersistentVolumeClaim]{
		{"modes", func(c *corev1.PersistentVolumeClaim) { c.Spec.AccessModes = nil }, []string{"spec.accessModes: " + req}},
		{"size", func(c *corev1.PersistentVolumeClaim) { c.Spec.Resources.Requests = nil }, []string{"spec.resources[storage]: " + req}},
		{"class", func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = new("_") }, []string{"spec.storageClassName: " + inv}},
		{"source", func(c *corev1.PersistentVolumeClaim) {
			c.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "Pod", Name: "p"}
		}, []string{"spec.dataSource: " + inv}},
	})
	bound := pvc()
	bound.Status.Phase, bound.Status.Capacity, bound.Spec.VolumeName = corev1.ClaimBound, list("storage", "2Gi"), "v"
	run(t, bound.DeepCopy, against(bound, volume.ValidatePersistentVolumeClaimUpdate), []edit[corev1.PersistentVolumeClaim]{
		{"grow", func(c *corev1.PersistentVolumeClaim) { c.Spec.Resources.Requests = list("storage", "3Gi") }, nil},
		{"shrink", func(c *corev1.PersistentVolumeClaim) { c.Spec.Resources.Requests = list("storage", "1Gi") }, []string{"spec.resources.requests.storage: " + fbd}},
		{"volume", func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "w" }, []string{"spec: " + fbd}},
	})
	run(t, pvc, against(pvc(), volume.ValidatePersistentVolumeClaimUpdate), []edit[corev1.PersistentVolumeClaim]{
		{"bind", func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "v" }, nil},
		{"grow unbound", func(c *corev1.PersistentVolumeClaim) { c.Spec.Resources.Requests = list("storage", "3Gi") }, []string{"spec: " + fbd}},
	})
}

func TestWarnings(t *testing.T) {
	p := goodPod()
	c0(p).Env = []corev1.EnvVar{{Name: "A"}, {Name: "A"}}
	p.Spec.NodeSelector = map[string]string{"beta.kubernetes.io/os": "linux"}
	got := warnings.PodWarnings(p)
	want := []string{`spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead`,
		`spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply`}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
	pv := &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRecycle}}
	pv.Spec.RBD = &corev1.RBDPersistentVolumeSource{}
	got, want = warnings.VolumeWarnings(pv), []string{
		"spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.",
		"spec.rbd: deprecated in v1.28, non-functional in v1.31+"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
	s := goodService()
	s.Spec.ExternalName = "x"
	if got := warnings.ServiceWarnings(s); len(got) != 1 || !strings.Contains(got[0], "spec.externalName is ignored") {
		t.Errorf("got %q", got)
	}
}

func TestDropDisabledFields(t *testing.T) {
	with := func() *corev1.PodSpec {
		p := goodPod()
		p.Spec.Volumes[0].EmptyDir.Mode = new(int32(0o700))
		c0(p).VolumeMounts[0].BindMountOptions = []string{"noexec"}
		p.Spec.EvictionResponders = []corev1.EvictionResponder{{Name: "a/b"}}
		return &p.Spec
	}
	s := with()
	core.DropDisabledPodFields(s, nil)
	if s.Volumes[0].EmptyDir.Mode != nil || s.Containers[0].VolumeMounts[0].BindMountOptions != nil || s.EvictionResponders != nil {
		t.Errorf("alpha fields are kept: %+v", s)
	}
	s = with()
	core.DropDisabledPodFields(s, with())
	if s.Volumes[0].EmptyDir.Mode == nil || s.Containers[0].VolumeMounts[0].BindMountOptions == nil || s.EvictionResponders == nil {
		t.Errorf("alpha fields in use are dropped: %+v", s)
	}
}
