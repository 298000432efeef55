package noderestriction_test

import (
	"reflect"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/utils/ptr"
)

func volume(name string, s corev1.VolumeSource) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: s}
}

func projected(sources ...corev1.VolumeProjection) corev1.VolumeSource {
	return corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: sources}}
}

func mine() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "mine", UID: "u1", Labels: map[string]string{"a": "b"}},
		Spec: corev1.PodSpec{NodeName: "n1", ServiceAccountName: "sa", Volumes: []corev1.Volume{
			volume("identity", projected(corev1.VolumeProjection{PodCertificate: &corev1.PodCertificateProjection{SignerName: "example.com/s"}})),
			volume("tokens", projected(corev1.VolumeProjection{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{}},
				corev1.VolumeProjection{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: "bank"}})),
			volume("claim", corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "claim"}}),
			volume("scratch", corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{}}}),
			volume("inline", corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "inline"}}),
			volume("old", corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "old"}}),
			volume("disk", corev1.VolumeSource{AzureDisk: &corev1.AzureDiskVolumeSource{}}),
		}},
	}
}

func theirs() *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "theirs", UID: "u2"}, Spec: corev1.PodSpec{NodeName: "n2", ServiceAccountName: "sa"}}
}

// mirror returns the mirror pod of n1, changed.
func mirror(change func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "mirror", UID: "um", Annotations: map[string]string{corev1.MirrorPodAnnotationKey: "x"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "n1", UID: "nu", Controller: ptr.To(true)}}},
		Spec: corev1.PodSpec{NodeName: "n1"},
	}
	if change != nil {
		change(pod)
	}
	return pod
}

func TestMirrorPods(t *testing.T) {
	owner := func(change func(*metav1.OwnerReference)) func(*corev1.Pod) {
		return func(p *corev1.Pod) { change(&p.OwnerReferences[0]) }
	}
	const ownOnly = `node "n1" can only create pods with an owner reference set to itself`
	for name, tc := range map[string]struct {
		change func(*corev1.Pod)
		want   string
	}{
		"of this node":       {nil, ""},
		"no mirror":          {func(p *corev1.Pod) { p.Annotations = nil }, `pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods`},
		"elsewhere":          {func(p *corev1.Pod) { p.Spec.NodeName = "n2" }, `node "n1" can only create pods with spec.nodeName set to itself`},
		"unbound":            {func(p *corev1.Pod) { p.Spec.NodeName = "" }, `node "n1" can only create pods with spec.nodeName set to itself`},
		"no owner":           {func(p *corev1.Pod) { p.OwnerReferences = nil }, ownOnly},
		"two owners":         {func(p *corev1.Pod) { p.OwnerReferences = append(p.OwnerReferences, p.OwnerReferences[0]) }, `node "n1" can only create pods with a single owner reference set to itself`},
		"other owner":        {owner(func(o *metav1.OwnerReference) { o.Name = "n2" }), ownOnly},
		"other kind":         {owner(func(o *metav1.OwnerReference) { o.Kind = "Pod" }), ownOnly},
		"other group":        {owner(func(o *metav1.OwnerReference) { o.APIVersion = "apps/v1" }), ownOnly},
		"no controller":      {owner(func(o *metav1.OwnerReference) { o.Controller = nil }), `node "n1" can only create pods with a controller owner reference set to itself`},
		"controller false":   {owner(func(o *metav1.OwnerReference) { o.Controller = ptr.To(false) }), `node "n1" can only create pods with a controller owner reference set to itself`},
		"blocking the owner": {owner(func(o *metav1.OwnerReference) { o.BlockOwnerDeletion = ptr.To(true) }), `node "n1" must not set blockOwnerDeletion on an owner reference`},
		"not blocking":       {owner(func(o *metav1.OwnerReference) { o.BlockOwnerDeletion = ptr.To(false) }), ""},
		"of an old node":     {owner(func(o *metav1.OwnerReference) { o.UID = "x" }), "node n1 UID mismatch: expected x got nu"},
	} {
		expect(t, name, ask{op: admission.Create, resource: core("pods"), ns: "ns", obj: mirror(tc.change)}, tc.want)
	}
	of := func(node string) ask {
		return ask{op: admission.Create, resource: core("pods"), user: agent(node), obj: mirror(func(p *corev1.Pod) { p.Spec.NodeName, p.OwnerReferences[0].Name = node, node })}
	}
	expect(t, "node is gone", of("gone"), `!nodes "gone" not found`)
	expect(t, "node cannot be read", of("broken"), "error looking up node broken to verify uid: etcdserver: request timed out")
	expect(t, "no pod", ask{op: admission.Create, resource: core("pods"), obj: &corev1.Node{}}, "unexpected type *v1.Node")
}

// TestMirrorPodsReferToNothing has every source of volumes, so that a new one is
// either refused or named here.
func TestMirrorPodsReferToNothing(t *testing.T) {
	local := corev1.LocalObjectReference{Name: "x"}
	const secrets, configMaps = "secrets", "configmaps"
	sources := map[string]struct {
		source corev1.VolumeSource
		want   string
	}{
		"HostPath":              {corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{}}, ""},
		"EmptyDir":              {corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}, ""},
		"GCEPersistentDisk":     {corev1.VolumeSource{GCEPersistentDisk: &corev1.GCEPersistentDiskVolumeSource{}}, ""},
		"AWSElasticBlockStore":  {corev1.VolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{}}, ""},
		"GitRepo":               {corev1.VolumeSource{GitRepo: &corev1.GitRepoVolumeSource{}}, ""},
		"Secret":                {corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "x"}}, secrets},
		"Secret ":               {corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{}}, "secrets (via secret volumes)"},
		"NFS":                   {corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{}}, ""},
		"ISCSI":                 {corev1.VolumeSource{ISCSI: &corev1.ISCSIVolumeSource{SecretRef: &local}}, secrets},
		"ISCSI ":                {corev1.VolumeSource{ISCSI: &corev1.ISCSIVolumeSource{}}, ""},
		"Glusterfs":             {corev1.VolumeSource{Glusterfs: &corev1.GlusterfsVolumeSource{EndpointsName: "x"}}, "endpoints (via glusterFS volumes)"},
		"PersistentVolumeClaim": {corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "x"}}, "persistentvolumeclaims"},
		"RBD":                   {corev1.VolumeSource{RBD: &corev1.RBDVolumeSource{SecretRef: &local}}, secrets},
		"RBD ":                  {corev1.VolumeSource{RBD: &corev1.RBDVolumeSource{}}, ""},
		"FlexVolume":            {corev1.VolumeSource{FlexVolume: &corev1.FlexVolumeSource{SecretRef: &local}}, secrets},
		"FlexVolume ":           {corev1.VolumeSource{FlexVolume: &corev1.FlexVolumeSource{Driver: "x"}}, ""},
		"Cinder":                {corev1.VolumeSource{Cinder: &corev1.CinderVolumeSource{SecretRef: &local}}, secrets},
		"Cinder ":               {corev1.VolumeSource{Cinder: &corev1.CinderVolumeSource{SecretRef: &corev1.LocalObjectReference{}}}, ""},
		"CephFS":                {corev1.VolumeSource{CephFS: &corev1.CephFSVolumeSource{SecretRef: &local}}, secrets},
		"Flocker":               {corev1.VolumeSource{Flocker: &corev1.FlockerVolumeSource{}}, ""},
		"DownwardAPI":           {corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{}}, ""},
		"FC":                    {corev1.VolumeSource{FC: &corev1.FCVolumeSource{}}, ""},
		"AzureFile":             {corev1.VolumeSource{AzureFile: &corev1.AzureFileVolumeSource{SecretName: "x"}}, secrets},
		"AzureFile ":            {corev1.VolumeSource{AzureFile: &corev1.AzureFileVolumeSource{}}, "secrets (via azureFile volumes)"},
		"ConfigMap":             {corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: local}}, configMaps},
		"ConfigMap ":            {corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}, "configmaps (via configmap volumes)"},
		"VsphereVolume":         {corev1.VolumeSource{VsphereVolume: &corev1.VsphereVirtualDiskVolumeSource{}}, ""},
		"Quobyte":               {corev1.VolumeSource{Quobyte: &corev1.QuobyteVolumeSource{}}, ""},
		"AzureDisk":             {corev1.VolumeSource{AzureDisk: &corev1.AzureDiskVolumeSource{}}, ""},
		"PhotonPersistentDisk":  {corev1.VolumeSource{PhotonPersistentDisk: &corev1.PhotonPersistentDiskVolumeSource{}}, ""},
		"PortworxVolume":        {corev1.VolumeSource{PortworxVolume: &corev1.PortworxVolumeSource{}}, ""},
		"ScaleIO":               {corev1.VolumeSource{ScaleIO: &corev1.ScaleIOVolumeSource{SecretRef: &local}}, secrets},
		"StorageOS":             {corev1.VolumeSource{StorageOS: &corev1.StorageOSVolumeSource{SecretRef: &local}}, secrets},
		"CSI":                   {corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "x"}}, "csidrivers (via CSI volumes)"},
		"CSI secret":            {corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "x", NodePublishSecretRef: &local}}, secrets},
		"Ephemeral":             {corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}, "persistentvolumeclaims (via ephemeral volumes)"},
		"Image":                 {corev1.VolumeSource{Image: &corev1.ImageVolumeSource{}}, ""},
		"Projected":             {projected(), ""},
		"Projected Secret":      {projected(corev1.VolumeProjection{Secret: &corev1.SecretProjection{LocalObjectReference: local}}), secrets},
		"Projected Secret ":     {projected(corev1.VolumeProjection{Secret: &corev1.SecretProjection{}}), "secrets (via projected volumes)"},
		"Projected ConfigMap":   {projected(corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: local}}), configMaps},
		"Projected ConfigMap ":  {projected(corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{}}), "configmaps (via projected volumes)"},
		"Projected DownwardAPI": {projected(corev1.VolumeProjection{DownwardAPI: &corev1.DownwardAPIProjection{}}), ""},
		"Projected ServiceAccountToken": {projected(corev1.VolumeProjection{DownwardAPI: &corev1.DownwardAPIProjection{}},
			corev1.VolumeProjection{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{}}), "serviceaccounts (via projected volumes)"},
		"Projected ClusterTrustBundle":        {projected(corev1.VolumeProjection{ClusterTrustBundle: &corev1.ClusterTrustBundleProjection{Name: ptr.To("x")}}), "clustertrustbundles"},
		"Projected ClusterTrustBundle signer": {projected(corev1.VolumeProjection{ClusterTrustBundle: &corev1.ClusterTrustBundleProjection{SignerName: ptr.To("x")}}), "clustertrustbundles"},
		"Projected ClusterTrustBundle ":       {projected(corev1.VolumeProjection{ClusterTrustBundle: &corev1.ClusterTrustBundleProjection{}}), "clustertrustbundles"},
		"Projected PodCertificate":            {projected(corev1.VolumeProjection{PodCertificate: &corev1.PodCertificateProjection{SignerName: "x"}}), "podcertificates"},
	}
	for name, tc := range sources {
		pod := mirror(func(p *corev1.Pod) { p.Spec.Volumes = []corev1.Volume{volume("v", tc.source)} })
		want := tc.want
		if want != "" {
			want = `node "n1" can not create pods that reference ` + want
		}
		expect(t, name, ask{op: admission.Create, resource: core("pods"), obj: pod}, want)
	}
	for kind, prefix := range map[reflect.Type]string{reflect.TypeFor[corev1.VolumeSource](): "", reflect.TypeFor[corev1.VolumeProjection](): "Projected "} {
		for field := range kind.Fields() {
			if _, ok := sources[prefix+field.Name]; !ok {
				t.Errorf("no case for %s%s", prefix, field.Name)
			}
		}
	}
}

func TestMirrorPodsReferToNothingElse(t *testing.T) {
	local := corev1.LocalObjectReference{Name: "x"}
	secretEnv := []corev1.EnvVar{{ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: local}}}}
	mapEnv := []corev1.EnvVar{{ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: local}}}}
	secretFrom := []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: local}}}
	mapFrom := []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: local}}}
	for name, tc := range map[string]struct {
		change func(*corev1.Pod)
		want   string
	}{
		"account":            {func(p *corev1.Pod) { p.Spec.ServiceAccountName = "x" }, `node "n1" can not create pods that reference serviceaccounts`},
		"pull secret":        {func(p *corev1.Pod) { p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{local} }, `node "n1" can not create pods that reference secrets`},
		"environment":        {func(p *corev1.Pod) { p.Spec.Containers = []corev1.Container{{Env: secretEnv}} }, `node "n1" can not create pods that reference secrets`},
		"init":               {func(p *corev1.Pod) { p.Spec.InitContainers = []corev1.Container{{EnvFrom: secretFrom}} }, `node "n1" can not create pods that reference secrets`},
		"environment of map": {func(p *corev1.Pod) { p.Spec.Containers = []corev1.Container{{Env: mapEnv}} }, `node "n1" can not create pods that reference configmaps`},
		"ephemeral container": {func(p *corev1.Pod) {
			p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{EnvFrom: mapFrom}}}
		}, `node "n1" can not create pods that reference configmaps`},
		"claim": {func(p *corev1.Pod) {
			p.Spec.ResourceClaims = []corev1.PodResourceClaim{{ResourceClaimName: ptr.To("x")}}
		}, `node "n1" can not create pods that reference resourceclaims`},
		"claim of a template": {func(p *corev1.Pod) {
			p.Spec.ResourceClaims = []corev1.PodResourceClaim{{ResourceClaimTemplateName: ptr.To("x")}}
		}, `node "n1" can not create pods that reference resourceclaims`},
		"class and priority": {func(p *corev1.Pod) { p.Spec.RuntimeClassName, p.Spec.PriorityClassName = ptr.To("x"), "y" }, ""},
		"unknown volume":     {func(p *corev1.Pod) { p.Spec.Volumes = []corev1.Volume{{Name: "v"}} }, `error checking mirror pod for API references: unknown volume type for volume  "v"`},
		"unknown projection": {func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{volume("v", projected(corev1.VolumeProjection{}))}
		}, `error checking mirror pod for API references: unknown source for projected volume "v"`},
		"two sources": {func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{volume("v", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}, Secret: &corev1.SecretVolumeSource{SecretName: "x"}})}
		}, `node "n1" can not create pods that reference secrets`},
	} {
		expect(t, name, ask{op: admission.Create, resource: core("pods"), obj: mirror(tc.change)}, tc.want)
	}
}

func TestPods(t *testing.T) {
	const mirrorOnly = `unexpected operation "UPDATE", node "n1" can only create and delete mirror pods`
	const deleteOwn = `node "n1" can only delete pods with spec.nodeName set to itself`
	pods := core("pods")
	for name, tc := range map[string]struct {
		ask  ask
		want string
	}{
		"update":                 {ask{op: admission.Update, resource: pods, name: "mine", obj: mine(), old: mine()}, mirrorOnly},
		"delete":                 {ask{op: admission.Delete, resource: pods, name: "mine"}, ""},
		"delete mirror":          {ask{op: admission.Delete, resource: pods, name: "mirror"}, ""},
		"delete theirs":          {ask{op: admission.Delete, resource: pods, name: "theirs"}, deleteOwn},
		"delete what is gone":    {ask{op: admission.Delete, resource: pods, name: "gone"}, `!pods "gone" not found`},
		"delete blindly":         {ask{op: admission.Delete, resource: pods, name: "broken"}, "etcdserver: request timed out"},
		"exec":                   {ask{op: admission.Connect, resource: pods, sub: "exec", name: "mine"}, ""}, // not this plugin's
		"binding":                {ask{op: admission.Create, resource: pods, sub: "binding", name: "mine"}, `unexpected pod subresource "binding", only 'status' and 'eviction' are allowed`},
		"resize":                 {ask{op: admission.Update, resource: pods, sub: "resize", name: "mine"}, `unexpected pod subresource "resize", only 'status' and 'eviction' are allowed`},
		"ephemeral containers":   {ask{op: admission.Update, resource: pods, sub: "ephemeralcontainers", name: "mine"}, `unexpected pod subresource "ephemeralcontainers", only 'status' and 'eviction' are allowed`},
		"not a node":             {ask{op: admission.Delete, resource: pods, name: "theirs", user: &user.DefaultInfo{Name: "x"}}, ""},
		"a node without a name":  {ask{op: admission.Delete, resource: pods, name: "mine", user: agent("")}, `could not determine node from user "system:node:"`},
		"node's name, not group": {ask{op: admission.Delete, resource: pods, name: "theirs", user: &user.DefaultInfo{Name: "system:node:n1"}}, ""},
		"unrelated":              {ask{op: admission.Create, resource: core("services"), obj: &corev1.Service{}}, ""},
	} {
		expect(t, name, tc.ask, tc.want)
	}
}

func TestEvictions(t *testing.T) {
	eviction := func(name string) *policyv1.Eviction {
		return &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	const own = "node n1 can only evict pods with spec.nodeName set to itself"
	for name, tc := range map[string]struct {
		ask  ask
		want string
	}{
		"mine":              {ask{op: admission.Create, name: "mine", obj: eviction("mine")}, ""},
		"mine, unnamed":     {ask{op: admission.Create, name: "mine", obj: eviction("")}, ""},
		"by the object":     {ask{op: admission.Create, obj: eviction("mine")}, ""},
		"theirs":            {ask{op: admission.Create, name: "theirs", obj: eviction("theirs")}, own},
		"theirs for mine":   {ask{op: admission.Create, name: "theirs", obj: eviction("mine")}, own},
		"theirs, by object": {ask{op: admission.Create, obj: eviction("theirs")}, own},
		"no name":           {ask{op: admission.Create, obj: eviction("")}, "could not determine pod from request data"},
		"gone":              {ask{op: admission.Create, name: "gone", obj: eviction("")}, `!pods "gone" not found`},
		"blindly":           {ask{op: admission.Create, name: "broken", obj: eviction("")}, "etcdserver: request timed out"},
		"update":            {ask{op: admission.Update, name: "mine", obj: eviction("mine")}, "unexpected operation UPDATE"},
		"delete":            {ask{op: admission.Delete, name: "mine"}, "unexpected operation DELETE"},
		"no eviction":       {ask{op: admission.Create, name: "mine", obj: mine()}, "unexpected type *v1.Pod"},
	} {
		tc.ask.resource, tc.ask.sub = core("pods"), "eviction"
		expect(t, name, tc.ask, tc.want)
	}
}

func TestPodStatus(t *testing.T) {
	q := resource.MustParse
	claimed := func(p *corev1.Pod) {
		p.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "c", ResourceClaimName: ptr.To("x")}}
		p.Status.ExtendedResourceClaimStatus = &corev1.PodExtendedResourceClaimStatus{ResourceClaimName: "x",
			RequestMappings: []corev1.ContainerExtendedResourceRequest{{ContainerName: "c", ResourceName: "example.com/d", RequestName: "r"}}}
		p.Status.NodeAllocatableResourceClaimStatuses = []corev1.NodeAllocatableResourceClaimStatus{{ResourceClaimName: "x", Containers: []string{"c"},
			Mapping:  []corev1.NodeAllocatableMappedResources{{Name: "cpu", Quantity: ptr.To(q("1"))}},
			Overhead: []corev1.NodeAllocatableOverheadResources{{Name: "memory", PerPod: ptr.To(q("1Mi"))}}}}
	}
	const (
		labels    = `node "n1" cannot update labels through pod status`
		claims    = `node "n1" cannot update resource claim statues`
		extended  = `node "n1" cannot update extended resource claim status`
		allocated = `node "n1" cannot update node allocatable resource claim statuses`
	)
	for name, tc := range map[string]struct {
		before, after func(*corev1.Pod)
		want          string
	}{
		"a report": {nil, func(p *corev1.Pod) {
			p.Status.Phase, p.Status.PodIP, p.Annotations = corev1.PodRunning, "10.0.0.1", map[string]string{"x": "y"}
		}, ""},
		"claims as they were": {claimed, claimed, ""},
		"equal quantities": {claimed, func(p *corev1.Pod) {
			claimed(p)
			p.Status.NodeAllocatableResourceClaimStatuses[0].Mapping[0].Quantity = ptr.To(q("1000m"))
		}, ""},
		"empty for none": {nil, func(p *corev1.Pod) { p.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{} }, ""},
		"a label":        {nil, func(p *corev1.Pod) { p.Labels["x"] = "" }, labels},
		"another label":  {nil, func(p *corev1.Pod) { p.Labels["a"] = "c" }, labels},
		"no label":       {nil, func(p *corev1.Pod) { p.Labels = nil }, labels},
		"a claim": {nil, func(p *corev1.Pod) {
			p.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "c", ResourceClaimName: ptr.To("x")}}
		}, claims},
		"another claim":   {claimed, func(p *corev1.Pod) { claimed(p); p.Status.ResourceClaimStatuses[0].ResourceClaimName = ptr.To("y") }, claims},
		"no claim needed": {claimed, func(p *corev1.Pod) { claimed(p); p.Status.ResourceClaimStatuses[0].ResourceClaimName = nil }, claims},
		"no claims":       {claimed, func(p *corev1.Pod) { claimed(p); p.Status.ResourceClaimStatuses = nil }, claims},
		"extended": {nil, func(p *corev1.Pod) {
			p.Status.ExtendedResourceClaimStatus = &corev1.PodExtendedResourceClaimStatus{ResourceClaimName: "x"}
		}, extended},
		"another extended": {claimed, func(p *corev1.Pod) { claimed(p); p.Status.ExtendedResourceClaimStatus.ResourceClaimName = "y" }, extended},
		"other mappings": {claimed, func(p *corev1.Pod) {
			claimed(p)
			p.Status.ExtendedResourceClaimStatus.RequestMappings[0].RequestName = "y"
		}, extended},
		"no extended": {claimed, func(p *corev1.Pod) { claimed(p); p.Status.ExtendedResourceClaimStatus = nil }, extended},
		"allocatable": {nil, func(p *corev1.Pod) {
			p.Status.NodeAllocatableResourceClaimStatuses = []corev1.NodeAllocatableResourceClaimStatus{{ResourceClaimName: "x"}}
		}, allocated},
		"other containers": {claimed, func(p *corev1.Pod) { claimed(p); p.Status.NodeAllocatableResourceClaimStatuses[0].Containers = nil }, allocated},
		"other quantity": {claimed, func(p *corev1.Pod) {
			claimed(p)
			p.Status.NodeAllocatableResourceClaimStatuses[0].Mapping[0].Quantity = ptr.To(q("2"))
		}, allocated},
		"other overhead": {claimed, func(p *corev1.Pod) {
			claimed(p)
			p.Status.NodeAllocatableResourceClaimStatuses[0].Overhead[0].PerPod = nil
		}, allocated},
		"no allocatable": {claimed, func(p *corev1.Pod) { claimed(p); p.Status.NodeAllocatableResourceClaimStatuses = nil }, allocated},
	} {
		before, after := mine(), mine()
		if tc.before != nil {
			tc.before(before)
		}
		tc.after(after)
		expect(t, name, ask{op: admission.Update, resource: core("pods"), sub: "status", name: "mine", obj: after, old: before}, tc.want)
	}
	status := ask{op: admission.Update, resource: core("pods"), sub: "status", obj: theirs(), old: theirs()}
	expect(t, "theirs", status, `node "n1" can only update pod status for pods with spec.nodeName set to itself`)
	status.old = mine()
	status.obj = &corev1.Node{}
	expect(t, "no pod", status, "unexpected type *v1.Node")
	status.op = admission.Create
	expect(t, "create", status, `unexpected operation "CREATE"`)
	status.op = admission.Delete
	expect(t, "delete", status, `unexpected operation "DELETE"`)
}

func TestTokens(t *testing.T) {
	token := func(pod, uid string, audiences ...string) ask {
		return ask{op: admission.Create, obj: &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences,
			BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod, UID: types.UID(uid)}}}}
	}
	kind := func(apiVersion, kind string) ask {
		a := token("mine", "u1")
		ref := a.obj.(*authenticationv1.TokenRequest).Spec.BoundObjectRef
		ref.APIVersion, ref.Kind = apiVersion, kind
		return a
	}
	const unbound = "node requested token not bound to a pod"
	for name, tc := range map[string]struct {
		ask  ask
		want string
	}{
		"for a pod":               {token("mine", "u1"), ""},
		"of a volume":             {token("mine", "u1", "bank"), ""},
		"of a claim's driver":     {token("mine", "u1", "vault"), ""},
		"of a made claim":         {token("mine", "u1", "safe"), ""},
		"of an inline driver":     {token("mine", "u1", "drawer"), ""},
		"of a driver that took":   {token("mine", "u1", "aws"), ""},
		"of an inline one, too":   {token("mine", "u1", "azure"), ""},
		"granted":                 {token("mine", "u1", "registry"), ""},
		"of nobody":               {token("mine", "u1", "other"), `system:node:n1 is not authorized to request tokens for audience "other"`},
		"rights cannot be read":   {token("mine", "u1", "failing"), `error authorizing system:node:n1 to request tokens for audience "failing": no roles`},
		"two audiences":           {token("mine", "u1", "bank", "vault"), "node may only request 0 or 1 audiences"},
		"old pod":                 {token("mine", "x"), "the UID in the bound object reference (x) does not match the UID in record. The object might have been deleted and then recreated"},
		"theirs":                  {token("theirs", "u2"), "node requested token bound to a pod scheduled on a different node"},
		"gone":                    {token("gone", "x"), `!pods "gone" not found`},
		"blindly":                 {token("broken", "x"), "etcdserver: request timed out"},
		"without a uid":           {token("mine", ""), "node requested token with a pod binding without a uid"},
		"without a name":          {token("", "u1"), unbound},
		"for a node":              {kind("v1", "Node"), unbound},
		"of another group":        {kind("x/v1", "Pod"), unbound},
		"unbound":                 {ask{op: admission.Create, obj: &authenticationv1.TokenRequest{}}, unbound},
		"no request":              {ask{op: admission.Create, obj: mine()}, "unexpected type *v1.Pod"},
		"a pod without audiences": {token("mirror", "um"), `system:node:n1 is not authorized to request tokens for audience ""`},
	} {
		tc.ask.resource, tc.ask.sub, tc.ask.name, tc.ask.ns = core("serviceaccounts"), "token", "sa", "ns"
		expect(t, name, tc.ask, tc.want)
	}
	expect(t, "an account", ask{op: admission.Create, resource: core("serviceaccounts"), obj: &corev1.ServiceAccount{}}, "") // the authorizer's
}
