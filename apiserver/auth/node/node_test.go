package node_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/tools/cache"

	"github.com/coracle-k8s/coracle/apiserver/auth/node"
)

func start(t *testing.T, pods []corev1.Pod, volumes []corev1.PersistentVolume) (*node.Graph, *watch.FakeWatcher) {
	events := watch.NewFake()
	still := func(list runtime.Object) cache.ListerWatcher {
		return &cache.ListWatch{
			ListWithContextFunc:  func(context.Context, metav1.ListOptions) (runtime.Object, error) { return list, nil },
			WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) { return watch.NewFake(), nil },
		}
	}
	n1, n2, first := "n1", "n2", metav1.ListMeta{ResourceVersion: "1"}
	g := node.NewGraph(node.Watches{Pods: &cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			return &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: pods}, nil
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) { return events, nil },
	}, PersistentVolumes: still(&corev1.PersistentVolumeList{ListMeta: first, Items: volumes}),
		VolumeAttachments: still(&storagev1.VolumeAttachmentList{ListMeta: first, Items: []storagev1.VolumeAttachment{
			{ObjectMeta: metav1.ObjectMeta{Name: "one"}, Spec: storagev1.VolumeAttachmentSpec{NodeName: n1}},
			{ObjectMeta: metav1.ObjectMeta{Name: "two"}, Spec: storagev1.VolumeAttachmentSpec{NodeName: n2}}}}),
		ResourceSlices: still(&resourcev1.ResourceSliceList{ListMeta: first, Items: []resourcev1.ResourceSlice{
			{ObjectMeta: metav1.ObjectMeta{Name: "one"}, Spec: resourcev1.ResourceSliceSpec{NodeName: &n1}},
			{ObjectMeta: metav1.ObjectMeta{Name: "two"}, Spec: resourcev1.ResourceSliceSpec{NodeName: &n2}},
			{ObjectMeta: metav1.ObjectMeta{Name: "all"}}}}),
		PodCertificateRequests: still(&certificatesv1beta1.PodCertificateRequestList{ListMeta: first, Items: []certificatesv1beta1.PodCertificateRequest{
			{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "one"}, Spec: certificatesv1beta1.PodCertificateRequestSpec{NodeName: types.NodeName(n1)}}}}),
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return g, events
}

// users lists what pod p uses, the slow way.
func users(p corev1.Pod, kind, name string) bool {
	for _, v := range p.Spec.Volumes {
		if kind == "secrets" && v.Secret != nil && v.Secret.SecretName == name ||
			kind == "configmaps" && v.ConfigMap != nil && v.ConfigMap.Name == name ||
			kind == "persistentvolumeclaims" && v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == name {
			return true
		}
	}
	for _, c := range p.Spec.Containers {
		for _, e := range c.EnvFrom {
			if kind == "secrets" && e.SecretRef != nil && e.SecretRef.Name == name {
				return true
			}
		}
	}
	return kind == "serviceaccounts" && p.Spec.ServiceAccountName == name
}

func TestGraphAgainstOracle(t *testing.T) {
	g := NewWithT(t)
	r := rand.New(rand.NewPCG(1, 2))
	name := func() string { return fmt.Sprintf("o%d", r.IntN(6)) }
	var pods []corev1.Pod
	for i := range 60 {
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprintf("ns%d", r.IntN(2)), Name: fmt.Sprintf("p%d", i)}}
		if n := r.IntN(4); n > 0 {
			p.Spec.NodeName = fmt.Sprintf("n%d", n)
		}
		p.Spec.ServiceAccountName = name()
		switch r.IntN(4) {
		case 0:
			p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name()}}}}
		case 1:
			p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name()}}}}}
		case 2:
			p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name()}}}}
		case 3:
			p.Spec.Containers = []corev1.Container{{EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name()}}}}}}
		}
		pods = append(pods, p)
	}
	graph, _ := start(t, pods, nil)
	g.Expect(graph.Sync(t.Context(), "secrets")).To(Succeed())
	for _, n := range []string{"n1", "n2", "n3", "n4"} {
		for _, ns := range []string{"ns0", "ns1"} {
			for _, kind := range []string{"secrets", "configmaps", "persistentvolumeclaims", "serviceaccounts"} {
				for o := range 6 {
					name := fmt.Sprintf("o%d", o)
					want := false
					for _, p := range pods {
						want = want || p.Spec.NodeName == n && p.Namespace == ns && users(p, kind, name)
					}
					g.Expect(graph.Uses(n, kind, ns, name)).To(Equal(want), "%s %s %s/%s", n, kind, ns, name)
				}
			}
		}
	}
}

// TestEdges compares what pods and volumes of every kind give their node with
// the one walk over references, which has a test of every field.
func TestEdges(t *testing.T) {
	g := NewWithT(t)
	local := func(name string) *corev1.LocalObjectReference { return &corev1.LocalObjectReference{Name: name} }
	secret := func(namespace, name string) *corev1.SecretReference {
		return &corev1.SecretReference{Namespace: namespace, Name: name}
	}
	name := func(s string) *string { return &s }
	var sources []corev1.Volume
	for _, s := range []corev1.VolumeSource{
		{Cinder: &corev1.CinderVolumeSource{SecretRef: local("cinder")}}, {ScaleIO: &corev1.ScaleIOVolumeSource{SecretRef: local("scaleio")}},
		{StorageOS: &corev1.StorageOSVolumeSource{SecretRef: local("storageos")}}, {CSI: &corev1.CSIVolumeSource{NodePublishSecretRef: local("csi")}},
		{AzureFile: &corev1.AzureFileVolumeSource{SecretName: "azure"}}, {ISCSI: &corev1.ISCSIVolumeSource{SecretRef: local("iscsi")}},
		{RBD: &corev1.RBDVolumeSource{SecretRef: local("rbd")}}, {FlexVolume: &corev1.FlexVolumeSource{SecretRef: local("flex")}},
		{CephFS: &corev1.CephFSVolumeSource{SecretRef: local("cephfs")}}, {Glusterfs: &corev1.GlusterfsVolumeSource{EndpointsName: "gluster"}},
		{Ephemeral: &corev1.EphemeralVolumeSource{}}, {PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}},
	} {
		sources = append(sources, corev1.Volume{Name: "v", VolumeSource: s})
	}
	pods := []corev1.Pod{{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p"},
		Spec: corev1.PodSpec{NodeName: "n1", Volumes: sources, ImagePullSecrets: []corev1.LocalObjectReference{*local("pull"), {}},
			EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: *local("debug")}}}}}},
			ResourceClaims:      []corev1.PodResourceClaim{{Name: "a", ResourceClaimName: name("named")}, {Name: "b", ResourceClaimTemplateName: name("t")}}},
		Status: corev1.PodStatus{ExtendedResourceClaimStatus: &corev1.PodExtendedResourceClaimStatus{ResourceClaimName: "extended"},
			ResourceClaimStatuses:                []corev1.PodResourceClaimStatus{{Name: "b", ResourceClaimName: name("made")}, {Name: "x", ResourceClaimName: name("foreign")}},
			NodeAllocatableResourceClaimStatuses: []corev1.NodeAllocatableResourceClaimStatus{{ResourceClaimName: "allocatable"}}},
	}, {
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "mirror", Annotations: map[string]string{corev1.MirrorPodAnnotationKey: "x"}},
		Spec:       corev1.PodSpec{NodeName: "n1", ServiceAccountName: "mirror", ImagePullSecrets: []corev1.LocalObjectReference{*local("mirror")}},
	}, {
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "unbound"}, Spec: corev1.PodSpec{ServiceAccountName: "unbound"},
	}}
	object := func(namespace, name string) *corev1.ObjectReference {
		return &corev1.ObjectReference{Namespace: namespace, Name: name}
	}
	var volumes []corev1.PersistentVolume
	for i, s := range []corev1.PersistentVolumeSource{
		{Cinder: &corev1.CinderPersistentVolumeSource{SecretRef: secret("o", "cinder")}}, {Cinder: &corev1.CinderPersistentVolumeSource{SecretRef: secret("", "nowhere")}},
		{ScaleIO: &corev1.ScaleIOPersistentVolumeSource{SecretRef: secret("", "pv-scaleio")}}, {StorageOS: &corev1.StorageOSPersistentVolumeSource{SecretRef: object("o", "storageos")}},
		{CSI: &corev1.CSIPersistentVolumeSource{NodePublishSecretRef: secret("o", "publish"), NodeExpandSecretRef: secret("o", "expand"),
			ControllerPublishSecretRef: secret("o", "controller"), ControllerExpandSecretRef: secret("o", "controller-expand")}},
		{AzureFile: &corev1.AzureFilePersistentVolumeSource{SecretName: "pv-azure"}}, {ISCSI: &corev1.ISCSIPersistentVolumeSource{SecretRef: secret("o", "iscsi")}},
	} {
		volumes = append(volumes, corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("v%d", i)},
			Spec: corev1.PersistentVolumeSpec{ClaimRef: object("ns", "c"), PersistentVolumeSource: s}})
	}
	volumes = append(volumes, corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "unclaimed"}, Spec: corev1.PersistentVolumeSpec{
		PersistentVolumeSource: corev1.PersistentVolumeSource{ISCSI: &corev1.ISCSIPersistentVolumeSource{SecretRef: secret("o", "unclaimed")}}}},
		corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "others"}, Spec: corev1.PersistentVolumeSpec{ClaimRef: object("ns", "others"),
			PersistentVolumeSource: corev1.PersistentVolumeSource{ISCSI: &corev1.ISCSIPersistentVolumeSource{SecretRef: secret("o", "others")}}}})
	graph, _ := start(t, pods, volumes)
	g.Expect(graph.Sync(t.Context(), "persistentvolumes")).To(Succeed())
	for _, related := range []string{
		"secrets ns/cinder", "secrets ns/scaleio", "secrets ns/storageos", "secrets ns/csi", "secrets ns/azure", "secrets ns/iscsi", "secrets ns/rbd",
		"secrets ns/flex", "secrets ns/cephfs", "secrets ns/pull", "configmaps ns/debug", "persistentvolumeclaims ns/c", "persistentvolumeclaims ns/p-v",
		"resourceclaims ns/named", "resourceclaims ns/made", "resourceclaims ns/extended", "pods ns/p", "pods ns/mirror", "persistentvolumes /v0",
		"secrets o/cinder", "secrets ns/pv-scaleio", "secrets o/storageos", "secrets o/publish", "secrets o/expand", "secrets ns/pv-azure", "secrets o/iscsi",
	} {
		g.Expect(uses(graph, related)).To(BeTrue(), related)
	}
	for _, unrelated := range []string{
		"resourceclaims ns/foreign", "resourceclaims ns/allocatable", "resourceclaims ns/t", "serviceaccounts ns/mirror", "secrets ns/mirror",
		"serviceaccounts ns/unbound", "pods ns/unbound", "secrets ns/nowhere", "secrets o/controller", "secrets o/controller-expand",
		"secrets o/unclaimed", "secrets o/others", "persistentvolumes /others", "persistentvolumes /unclaimed", "secrets ns/", "endpoints ns/gluster",
	} {
		g.Expect(uses(graph, unrelated)).To(BeFalse(), unrelated)
	}
}

func uses(graph *node.Graph, object string) bool {
	kind, key, _ := strings.Cut(object, " ")
	namespace, name, _ := strings.Cut(key, "/")
	return graph.Uses("n1", kind, namespace, name)
}

func TestAuthorize(t *testing.T) {
	g := NewWithT(t)
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", ResourceVersion: "1"},
		Spec: corev1.PodSpec{NodeName: "n1", ServiceAccountName: "sa", Volumes: []corev1.Volume{
			{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}},
			{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}},
		}},
	}
	volume := corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v"}, Spec: corev1.PersistentVolumeSpec{
		ClaimRef:               &corev1.ObjectReference{Namespace: "ns", Name: "c"},
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{NodeStageSecretRef: &corev1.SecretReference{Namespace: "csi", Name: "stage"}}},
	}}
	graph, events := start(t, []corev1.Pod{pod}, []corev1.PersistentVolume{volume})
	a := node.New(graph)
	agent := &user.DefaultInfo{Name: "system:node:n1", Groups: []string{"system:nodes"}}
	type ask struct {
		verb, group, resource, sub, ns, name, field string
	}
	for _, tc := range []struct {
		user   user.Info
		ask    ask
		want   bool
		reason string
	}{
		{agent, ask{verb: "get", resource: "secrets", ns: "ns", name: "s"}, true, ""},
		{agent, ask{verb: "watch", resource: "secrets", ns: "ns", name: "s"}, true, ""},
		{agent, ask{verb: "list", resource: "secrets", ns: "ns"}, false, "No Object name found"},
		{agent, ask{verb: "update", resource: "secrets", ns: "ns", name: "s"}, false, "can only read resources of this type"},
		{agent, ask{verb: "get", resource: "secrets", ns: "ns", name: "other"}, false, "no relationship found between node 'n1' and this object"},
		{agent, ask{verb: "get", resource: "secrets", ns: "csi", name: "stage"}, true, ""},
		{agent, ask{verb: "get", resource: "persistentvolumes", name: "v"}, true, ""},
		{agent, ask{verb: "get", resource: "persistentvolumeclaims", ns: "ns", name: "c"}, true, ""},
		{agent, ask{verb: "create", resource: "serviceaccounts", sub: "token", ns: "ns", name: "sa"}, true, ""},
		{agent, ask{verb: "create", resource: "serviceaccounts", ns: "ns", name: "sa"}, false, "can only create token subresource of serviceaccount"},
		{agent, ask{verb: "get", resource: "nodes", name: "n1"}, true, ""},
		{agent, ask{verb: "get", resource: "nodes", name: "n2"}, false, "node 'n1' cannot read 'n2', only its own Node object"},
		{agent, ask{verb: "patch", resource: "nodes", sub: "status", name: "n1"}, true, ""},
		{agent, ask{verb: "list", resource: "pods", field: "n1"}, true, ""},
		{agent, ask{verb: "list", resource: "pods", field: "n2"}, false, "can only list/watch pods with spec.nodeName field selector"},
		{agent, ask{verb: "get", resource: "pods", ns: "ns", name: "p"}, true, ""},
		{agent, ask{verb: "update", group: "coordination.k8s.io", resource: "leases", ns: "kube-node-lease", name: "n1"}, true, ""},
		{agent, ask{verb: "update", group: "coordination.k8s.io", resource: "leases", ns: "kube-node-lease", name: "n2"}, false, "can only access node lease with the same name as the requesting node"},
		{agent, ask{verb: "list", resource: "services"}, true, ""},
		{agent, ask{verb: "get", resource: "secrets", name: "s"}, false, "can only read namespaced object of this type"},
		{agent, ask{verb: "get", resource: "secrets", sub: "x", ns: "ns", name: "s"}, false, "cannot read subresource"},
		{agent, ask{verb: "deletecollection", resource: "secrets", ns: "ns"}, false, "can only read resources of this type"},
		{agent, ask{verb: "list", resource: "persistentvolumeclaims", ns: "ns", name: "c"}, false, "can only get individual resources of this type"},
		{agent, ask{verb: "get", resource: "persistentvolumeclaims", sub: "status", ns: "ns", name: "c"}, false, "can only get/update/patch this type"},
		{agent, ask{verb: "patch", resource: "persistentvolumeclaims", sub: "status", ns: "ns", name: "c"}, true, ""},
		{agent, ask{verb: "patch", resource: "persistentvolumeclaims", sub: "status", ns: "ns", name: "x"}, false, "no relationship found between node 'n1' and this object"},
		{agent, ask{verb: "get", resource: "persistentvolumeclaims", sub: "x", ns: "ns", name: "c"}, false, "cannot get subresource"},
		{agent, ask{verb: "get", group: "resource.k8s.io", resource: "resourceclaims", ns: "ns", name: "c"}, false, "no relationship found between node 'n1' and this object"},
		{agent, ask{verb: "update", group: "resource.k8s.io", resource: "resourceclaims", sub: "status", ns: "ns", name: "c"}, false, "can only get individual resources of this type"},
		{agent, ask{verb: "get", resource: "serviceaccounts", ns: "ns", name: "sa"}, true, ""},
		{agent, ask{verb: "get", resource: "serviceaccounts", name: "sa"}, false, "can only read namespaced object of this type"},
		{agent, ask{verb: "get", resource: "serviceaccounts", ns: "ns", name: "other"}, false, "no relationship found between node 'n1' and this object"},
		{agent, ask{verb: "list", resource: "serviceaccounts", ns: "ns"}, false, "can only create tokens for individual service accounts"},
		{agent, ask{verb: "create", resource: "serviceaccounts", sub: "token", ns: "ns"}, false, "can only create tokens for individual service accounts"},
		{agent, ask{verb: "create", resource: "serviceaccounts", sub: "token", ns: "ns", name: "other"}, false, "no relationship found between node 'n1' and this object"},
		{agent, ask{verb: "list", resource: "nodes"}, false, "node 'n1' cannot read all nodes, only its own Node object"},
		{agent, ask{verb: "update", resource: "nodes", name: "n2"}, true, ""}, // admission's
		{agent, ask{verb: "get", resource: "nodes", sub: "proxy", name: "n1"}, false, ""},
		{agent, ask{verb: "create", resource: "pods", sub: "eviction", ns: "ns", name: "p"}, true, ""},
		{agent, ask{verb: "create", resource: "pods", sub: "binding", ns: "ns", name: "p"}, false, ""},
		{agent, ask{verb: "patch", resource: "pods", sub: "resize", ns: "ns", name: "p"}, false, ""},
		{agent, ask{verb: "patch", resource: "pods", sub: "ephemeralcontainers", ns: "ns", name: "p"}, false, ""},
		{agent, ask{verb: "get", resource: "pods", sub: "log", ns: "ns", name: "p"}, false, ""},
		{agent, ask{verb: "deletecollection", resource: "pods", ns: "ns"}, false, ""},
		{agent, ask{verb: "watch", resource: "pods", ns: "ns", name: "p"}, true, ""},
		{agent, ask{verb: "list", group: "coordination.k8s.io", resource: "leases", ns: "kube-node-lease"}, false, "can only get, create, update, patch, or delete a node lease"},
		{agent, ask{verb: "get", group: "coordination.k8s.io", resource: "leases", ns: "kube-system", name: "n1"}, false, `can only access leases in the "kube-node-lease" system namespace`},
		{agent, ask{verb: "get", group: "storage.k8s.io", resource: "csinodes", name: "n1"}, true, ""},
		{agent, ask{verb: "get", group: "storage.k8s.io", resource: "csinodes", name: "n2"}, false, "can only access CSINode with the same name as the requesting node"},
		{agent, ask{verb: "list", group: "storage.k8s.io", resource: "csinodes"}, false, "can only get, create, update, patch, or delete a CSINode"},
		{agent, ask{verb: "list", group: "storage.k8s.io", resource: "csinodes", sub: "status"}, false, "CSINode status access requires CSIVolumeHealth feature"},
		{agent, ask{verb: "patch", group: "storage.k8s.io", resource: "csinodes", sub: "status", name: "n1"}, false, "CSINode status access requires CSIVolumeHealth feature"},
		{agent, ask{verb: "get", group: "storage.k8s.io", resource: "csinodes", sub: "x", name: "n1"}, false, "cannot authorize CSINode subresources"},
		{agent, ask{verb: "create", group: "storage.k8s.io", resource: "volumeattachments"}, false, "can only get individual resources of this type"},
		{agent, ask{verb: "create", group: "certificates.k8s.io", resource: "certificatesigningrequests"}, true, ""}, // admission's
		{agent, ask{verb: "update", group: "certificates.k8s.io", resource: "certificatesigningrequests", sub: "approval", name: "x"}, false, ""},
		{agent, ask{verb: "create", group: "certificates.k8s.io", resource: "certificatesigningrequests", sub: "selfnodeclient"}, false, ""},
		{agent, ask{verb: "get", group: "resource.k8s.io", resource: "resourceslices", sub: "x", name: "one"}, false, "cannot authorize ResourceSlice subresources"},
		{agent, ask{verb: "deletecollection", group: "resource.k8s.io", resource: "resourceslices", field: "n1"}, true, ""},
		{agent, ask{verb: "proxy", group: "resource.k8s.io", resource: "resourceslices", name: "one"}, false, "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection"},
		{agent, ask{verb: "list", group: "certificates.k8s.io", resource: "podcertificaterequests", field: "n1"}, true, ""},
		{agent, ask{verb: "list", group: "certificates.k8s.io", resource: "podcertificaterequests"}, false, "can only list/watch podcertificaterequests with nodeName field selector"},
		{agent, ask{verb: "create", resource: "events", ns: "ns"}, true, ""},
		{agent, ask{verb: "delete", resource: "events", ns: "ns", name: "x"}, false, ""},
		{agent, ask{verb: "delete", resource: "services", ns: "ns", name: "x"}, false, ""},
		{agent, ask{verb: "delete", resource: "nodes", name: "n1"}, false, ""},
		{agent, ask{verb: "update", resource: "pods", ns: "ns", name: "p"}, false, ""},
		{agent, ask{verb: "get", group: "storage.k8s.io", resource: "volumeattachments", name: "one"}, true, ""},
		{agent, ask{verb: "get", group: "storage.k8s.io", resource: "volumeattachments", name: "two"}, false, "no relationship found between node 'n1' and this object"},
		{agent, ask{verb: "create", group: "resource.k8s.io", resource: "resourceslices"}, true, ""},
		{agent, ask{verb: "delete", group: "resource.k8s.io", resource: "resourceslices", name: "one"}, true, ""},
		{agent, ask{verb: "delete", group: "resource.k8s.io", resource: "resourceslices", name: "two"}, false, "no relationship found between node 'n1' and this object"},
		{agent, ask{verb: "get", group: "resource.k8s.io", resource: "resourceslices", name: "all"}, false, "no relationship found between node 'n1' and this object"},
		{agent, ask{verb: "list", group: "resource.k8s.io", resource: "resourceslices", field: "n1"}, true, ""},
		{agent, ask{verb: "list", group: "resource.k8s.io", resource: "resourceslices"}, false, "can only list/watch/deletecollection resourceslices with nodeName field selector"},
		{agent, ask{verb: "get", group: "certificates.k8s.io", resource: "podcertificaterequests", ns: "ns", name: "one"}, true, ""},
		{agent, ask{verb: "create", group: "certificates.k8s.io", resource: "podcertificaterequests", ns: "ns"}, true, ""},
		{agent, ask{verb: "update", group: "certificates.k8s.io", resource: "podcertificaterequests", sub: "status", ns: "ns", name: "one"}, false, "nodes may not access the status subresource of PodCertificateRequests"},
		{agent, ask{verb: "delete", group: "certificates.k8s.io", resource: "podcertificaterequests", ns: "ns", name: "one"}, false, "nodes may not delete podcertificaterequests"},
		{&user.DefaultInfo{Name: "system:node:n1"}, ask{verb: "get", resource: "nodes", name: "n1"}, false, ""},
		{&user.DefaultInfo{Name: "system:node:", Groups: []string{"system:nodes"}}, ask{verb: "get", resource: "nodes", name: "n1"}, false, `unknown node for user "system:node:"`},
	} {
		record := authorizer.AttributesRecord{
			User: tc.user, Verb: tc.ask.verb, APIGroup: tc.ask.group, Resource: tc.ask.resource, Subresource: tc.ask.sub,
			Namespace: tc.ask.ns, Name: tc.ask.name, ResourceRequest: true,
		}
		if tc.ask.field != "" {
			record.FieldSelectorRequirements = fields.OneTermEqualSelector("spec.nodeName", tc.ask.field).Requirements()
		}
		decision, reason, err := a.Authorize(t.Context(), record)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(decision == authorizer.DecisionAllow).To(Equal(tc.want), "%+v: %s", tc.ask, reason)
		g.Expect(reason).To(Equal(tc.reason), "%+v", tc.ask)
	}

	// An agent may know of a pod before this server's watch does.
	late := pod.DeepCopy()
	late.Name, late.Spec.Volumes[0].Secret.SecretName = "late", "late"
	go events.Add(late)
	decision, _, _ := a.Authorize(t.Context(), authorizer.AttributesRecord{User: agent, Verb: "get", Resource: "secrets", Namespace: "ns", Name: "late", ResourceRequest: true})
	g.Expect(decision).To(Equal(authorizer.DecisionAllow))
}
