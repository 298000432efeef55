package noderestriction_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"strings"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/ptr"
)

func node(name string, change func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/hostname": "h", "node-role.kubernetes.io/x": "", "example.com/x": ""}}}
	if change != nil {
		change(n)
	}
	return n
}

func TestNodes(t *testing.T) {
	taint := func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "a", Effect: corev1.TaintEffectNoSchedule}} }
	owner := func(n *corev1.Node) { n.OwnerReferences = []metav1.OwnerReference{{Name: "o"}} }
	source := func(name string) func(*corev1.Node) {
		return func(n *corev1.Node) {
			n.Spec.ConfigSource = &corev1.NodeConfigSource{ConfigMap: &corev1.ConfigMapNodeConfigSource{Name: name}}
		}
	}
	label := func(key, value string) func(*corev1.Node) {
		return func(n *corev1.Node) { n.Labels = maps.Clone(n.Labels); n.Labels[key] = value }
	}
	without := func(key string) func(*corev1.Node) { return func(n *corev1.Node) { delete(n.Labels, key) } }
	const (
		taints = `node "n1" is not allowed to modify taints`
		owners = `node "n1" is not allowed to modify ownerReferences`
		labels = "is not allowed to modify labels: "
	)
	for name, tc := range map[string]struct {
		before, after func(*corev1.Node)
		want          string
	}{
		"nothing": {nil, nil, ""},
		"address, range, cordon": {nil, func(n *corev1.Node) {
			n.Spec.PodCIDR, n.Spec.ProviderID, n.Spec.Unschedulable = "10.0.0.0/24", "x", true
		}, ""},
		"taint":                  {nil, taint, taints},
		"no taint":               {taint, nil, taints},
		"same taint":             {taint, taint, ""},
		"another taint":          {taint, func(n *corev1.Node) { taint(n); n.Spec.Taints[0].Value = "x" }, taints},
		"owner":                  {nil, owner, owners},
		"no owner":               {owner, nil, owners},
		"another owner":          {owner, func(n *corev1.Node) { owner(n); n.OwnerReferences[0].UID = "x" }, owners},
		"config":                 {nil, source("x"), `node "n1" is not allowed to update configSource to a new non-nil configSource`},
		"another config":         {source("x"), source("y"), `node "n1" is not allowed to update configSource to a new non-nil configSource`},
		"same config":            {source("x"), source("x"), ""},
		"no config":              {source("x"), nil, ""},
		"label of its own":       {nil, label("example.com/y", ""), ""},
		"label without a domain": {nil, label("y", ""), ""},
		"label of the machine":   {nil, label("kubernetes.io/hostname", "x"), ""},
		"no label of machine":    {nil, without("kubernetes.io/hostname"), ""},
		"role":                   {nil, label("node-role.kubernetes.io/control-plane", ""), labels + "node-role.kubernetes.io/control-plane"},
		"role changed":           {nil, label("node-role.kubernetes.io/x", "y"), labels + "node-role.kubernetes.io/x"},
		"no role":                {nil, without("node-role.kubernetes.io/x"), labels + "node-role.kubernetes.io/x"},
		"two":                    {nil, func(n *corev1.Node) { label("k8s.io/b", "")(n); label("kubernetes.io/a", "")(n) }, labels + "k8s.io/b, kubernetes.io/a"},
		"restricted":             {nil, label("node-restriction.kubernetes.io/a", ""), labels + "node-restriction.kubernetes.io/a"},
		"restricted below":       {nil, label("x.node-restriction.kubernetes.io/a", ""), labels + "x.node-restriction.kubernetes.io/a"},
		"agent's":                {nil, func(n *corev1.Node) { label("kubelet.kubernetes.io/a", "")(n); label("x.node.kubernetes.io/a", "")(n) }, ""},
		"taint before label":     {nil, func(n *corev1.Node) { taint(n); owner(n); label("k8s.io/b", "")(n) }, taints},
		"owner before label":     {nil, func(n *corev1.Node) { owner(n); label("k8s.io/b", "")(n) }, owners},
	} {
		for _, sub := range []string{"", "status"} {
			expect(t, name, ask{op: admission.Update, resource: core("nodes"), sub: sub, name: "n1", obj: node("n1", tc.after), old: node("n1", tc.before)}, tc.want)
		}
	}
	const other = `node "n1" is not allowed to modify node "n2"`
	own := func(n *corev1.Node) { delete(n.Labels, "node-role.kubernetes.io/x") }
	for name, tc := range map[string]struct {
		ask  ask
		want string
	}{
		"create":             {ask{op: admission.Create, name: "n1", obj: node("n1", own)}, ""},
		"create with taint":  {ask{op: admission.Create, name: "n1", obj: node("n1", func(n *corev1.Node) { own(n); taint(n) })}, ""},
		"create with role":   {ask{op: admission.Create, name: "n1", obj: node("n1", nil)}, `node "n1" is not allowed to set the following labels: node-role.kubernetes.io/x`},
		"create with config": {ask{op: admission.Create, name: "n1", obj: node("n1", source("x"))}, `node "n1" is not allowed to create pods with a non-nil configSource`},
		"create other":       {ask{op: admission.Create, name: "n2", obj: node("n2", own)}, other},
		"create some":        {ask{op: admission.Create, obj: node("", nil)}, `node "n1" is not allowed to modify node ""`},
		"update other":       {ask{op: admission.Update, name: "n2", obj: node("n2", nil), old: node("n2", nil)}, other},
		"other's status":     {ask{op: admission.Update, sub: "status", name: "n2", obj: node("n2", nil), old: node("n2", nil)}, other},
		"delete":             {ask{op: admission.Delete, name: "n1"}, ""}, // the authorizer's
		"delete other":       {ask{op: admission.Delete, name: "n2"}, other},
		"no node":            {ask{op: admission.Create, name: "n1", obj: mine()}, "unexpected type *v1.Pod"},
		"update of no node":  {ask{op: admission.Update, name: "n1", obj: mine(), old: node("n1", nil)}, "unexpected type *v1.Pod"},
	} {
		tc.ask.resource = core("nodes")
		expect(t, name, tc.ask, tc.want)
	}
}

func TestClaimStatus(t *testing.T) {
	claims := core("persistentvolumeclaims")
	base := func() *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "c", ResourceVersion: "1"}}
	}
	one := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	for name, change := range map[string]func(*corev1.PersistentVolumeClaim){
		"!":         func(*corev1.PersistentVolumeClaim) {},
		"!capacity": func(c *corev1.PersistentVolumeClaim) { c.Status.Capacity = one },
		"!conditions": func(c *corev1.PersistentVolumeClaim) {
			c.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{Type: "x"}}
		},
		"!allocated": func(c *corev1.PersistentVolumeClaim) { c.Status.AllocatedResources = one },
		"!resize": func(c *corev1.PersistentVolumeClaim) {
			c.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{"storage": "x"}
		},
		"!version": func(c *corev1.PersistentVolumeClaim) { c.ResourceVersion = "" },
		"!managed": func(c *corev1.PersistentVolumeClaim) { c.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "x"}} },
		"phase":    func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimBound },
		"modes":    func(c *corev1.PersistentVolumeClaim) { c.Status.AccessModes = []corev1.PersistentVolumeAccessMode{"x"} },
		"class":    func(c *corev1.PersistentVolumeClaim) { c.Status.CurrentVolumeAttributesClassName = ptr.To("x") },
		"modifying": func(c *corev1.PersistentVolumeClaim) {
			c.Status.ModifyVolumeStatus = &corev1.ModifyVolumeStatus{Status: "x"}
		},
		"labels":        func(c *corev1.PersistentVolumeClaim) { c.Labels = map[string]string{"x": ""} },
		"annotations":   func(c *corev1.PersistentVolumeClaim) { c.Annotations = map[string]string{"x": ""} },
		"finalizers":    func(c *corev1.PersistentVolumeClaim) { c.Finalizers = []string{"x"} },
		"owners":        func(c *corev1.PersistentVolumeClaim) { c.OwnerReferences = []metav1.OwnerReference{{Name: "x"}} },
		"spec":          func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "x" },
		"spec, storage": func(c *corev1.PersistentVolumeClaim) { c.Spec.Resources.Requests = one },
	} {
		after := base()
		change(after)
		want := `node "n1" is not allowed to update fields other than status.quantity and status.conditions: `
		if strings.HasPrefix(name, "!") {
			want = ""
		}
		expectPrefix(t, name, ask{op: admission.Update, resource: claims, sub: "status", name: "c", obj: after, old: base()}, want)
	}
	expect(t, "create", ask{op: admission.Create, resource: claims, obj: base()}, "may only update PVC status")
	expect(t, "update", ask{op: admission.Update, resource: claims, name: "c", obj: base(), old: base()}, "may only update PVC status")
	expect(t, "delete", ask{op: admission.Delete, resource: claims, name: "c"}, "may only update PVC status")
	expect(t, "create status", ask{op: admission.Create, resource: claims, sub: "status", obj: base()}, `unexpected operation "CREATE"`)
	expect(t, "no claim", ask{op: admission.Update, resource: claims, sub: "status", obj: mine(), old: base()}, "unexpected type *v1.Pod")
	expect(t, "was no claim", ask{op: admission.Update, resource: claims, sub: "status", obj: base(), old: mine()}, "unexpected type *v1.Pod")
}

func TestOwnNames(t *testing.T) {
	leases := coordinationv1.SchemeGroupVersion.WithResource("leases")
	csiNodes := storagev1.SchemeGroupVersion.WithResource("csinodes")
	const otherLease = "can only access node lease with the same name as the requesting node"
	const elsewhere = `can only access leases in the "kube-node-lease" system namespace`
	const otherNode = "can only access CSINode with the same name as the requesting node"
	lease := func(name string) *coordinationv1.Lease {
		return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	csiNode := func(name string) *storagev1.CSINode {
		return &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	for _, tc := range []struct {
		ask  ask
		want string
	}{
		{ask{op: admission.Create, resource: leases, ns: "kube-node-lease", obj: lease("n1")}, ""},
		{ask{op: admission.Update, resource: leases, ns: "kube-node-lease", name: "n1", obj: lease("n1")}, ""},
		{ask{op: admission.Delete, resource: leases, ns: "kube-node-lease", name: "n1"}, ""},
		{ask{op: admission.Create, resource: leases, ns: "kube-node-lease", obj: lease("n2")}, otherLease},
		{ask{op: admission.Create, resource: leases, ns: "kube-node-lease", name: "n1", obj: lease("n2")}, otherLease},
		{ask{op: admission.Update, resource: leases, ns: "kube-node-lease", name: "n2", obj: lease("n1")}, otherLease},
		{ask{op: admission.Delete, resource: leases, ns: "kube-node-lease", name: "n2"}, otherLease},
		{ask{op: admission.Create, resource: leases, ns: "kube-system", obj: lease("n1")}, elsewhere},
		{ask{op: admission.Update, resource: leases, ns: "kube-system", name: "n1", obj: lease("n1")}, elsewhere},
		{ask{op: admission.Delete, resource: leases, ns: "kube-system", name: "n1"}, elsewhere},
		{ask{op: admission.Create, resource: csiNodes, obj: csiNode("n1")}, ""},
		{ask{op: admission.Update, resource: csiNodes, name: "n1", obj: csiNode("n1")}, ""},
		{ask{op: admission.Delete, resource: csiNodes, name: "n1"}, ""},
		{ask{op: admission.Create, resource: csiNodes, obj: csiNode("n2")}, otherNode},
		{ask{op: admission.Update, resource: csiNodes, name: "n2", obj: csiNode("n2")}, otherNode},
		{ask{op: admission.Delete, resource: csiNodes, name: "n2"}, otherNode},
		{ask{op: admission.Update, resource: csiNodes, sub: "status", name: "n1", obj: csiNode("n1"), old: csiNode("n1")}, "CSIVolumeHealth feature gate is disabled"},
		{ask{op: admission.Update, resource: csiNodes, sub: "status", name: "n2", obj: csiNode("n2"), old: csiNode("n2")}, otherNode},
	} {
		expect(t, string(tc.ask.op)+" "+tc.ask.resource.Resource+" "+tc.ask.name, tc.ask, tc.want)
	}
}

func TestResourceSlices(t *testing.T) {
	slices := resourcev1.SchemeGroupVersion.WithResource("resourceslices")
	slice := func(node *string) *resourcev1.ResourceSlice {
		return &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: resourcev1.ResourceSliceSpec{NodeName: node}}
	}
	const create = "can only create ResourceSlice with the same NodeName as the requesting node"
	const remove = "can only delete ResourceSlice with the same NodeName as the requesting node"
	for name, tc := range map[string]struct {
		ask  ask
		want string
	}{
		"create":            {ask{op: admission.Create, obj: slice(ptr.To("n1"))}, ""},
		"create of another": {ask{op: admission.Create, obj: slice(ptr.To("n2"))}, create},
		"create of none":    {ask{op: admission.Create, obj: slice(nil)}, create},
		"create of all":     {ask{op: admission.Create, obj: &resourcev1.ResourceSlice{Spec: resourcev1.ResourceSliceSpec{AllNodes: ptr.To(true)}}}, create},
		"delete":            {ask{op: admission.Delete, name: "s", old: slice(ptr.To("n1"))}, ""},
		"delete of another": {ask{op: admission.Delete, name: "s", old: slice(ptr.To("n2"))}, remove},
		"delete of none":    {ask{op: admission.Delete, name: "s", old: slice(nil)}, remove},
		"update":            {ask{op: admission.Update, name: "s", obj: slice(ptr.To("n1")), old: slice(ptr.To("n1"))}, ""}, // the authorizer's, and the node is immutable
		"no slice":          {ask{op: admission.Create, obj: mine()}, "unexpected type *v1.Pod"},
	} {
		tc.ask.resource = slices
		expect(t, name, tc.ask, tc.want)
	}
}

func signing(t *testing.T, name, signer string) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name, Organization: []string{"system:nodes"}}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return &certificatesv1.CertificateSigningRequest{Spec: certificatesv1.CertificateSigningRequestSpec{
		SignerName: signer, Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})}}
}

func TestSigningRequests(t *testing.T) {
	requests := certificatesv1.SchemeGroupVersion.WithResource("certificatesigningrequests")
	const client, serving = "kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"
	const own = "can only create a node CSR with CN=system:node:n1"
	for name, tc := range map[string]struct {
		ask  ask
		want string
	}{
		"own client":       {ask{op: admission.Create, obj: signing(t, "system:node:n1", client)}, ""},
		"own serving":      {ask{op: admission.Create, obj: signing(t, "system:node:n1", serving)}, ""},
		"another's client": {ask{op: admission.Create, obj: signing(t, "system:node:n2", client)}, own},
		"another's server": {ask{op: admission.Create, obj: signing(t, "system:node:n2", serving)}, own},
		"longer name":      {ask{op: admission.Create, obj: signing(t, "system:node:n11", client)}, own},
		"no node":          {ask{op: admission.Create, obj: signing(t, "admin", client)}, own},
		"other signer":     {ask{op: admission.Create, obj: signing(t, "admin", "kubernetes.io/kube-apiserver-client")}, ""},
		"no request": {ask{op: admission.Create, obj: &certificatesv1.CertificateSigningRequest{
			Spec: certificatesv1.CertificateSigningRequestSpec{SignerName: client, Request: []byte("x")}}}, "unable to parse csr: PEM block type must be CERTIFICATE REQUEST"},
		"not even that": {ask{op: admission.Create, obj: mine()}, "unexpected type *v1.Pod"},
		"update":        {ask{op: admission.Update, name: "x", obj: signing(t, "system:node:n2", client)}, ""}, // the authorizer's
	} {
		tc.ask.resource = requests
		expect(t, name, tc.ask, tc.want)
	}
}

func TestPodCertificateRequests(t *testing.T) {
	requests := certificatesv1.SchemeGroupVersion.WithResource("podcertificaterequests")
	for name, tc := range map[string]struct {
		change func(*certificatesv1beta1.PodCertificateRequestSpec)
		want   string
	}{
		"as it is":     {func(*certificatesv1beta1.PodCertificateRequestSpec) {}, ""},
		"granted":      {func(s *certificatesv1beta1.PodCertificateRequestSpec) { s.SignerName = "example.com/granted" }, ""},
		"other signer": {func(s *certificatesv1beta1.PodCertificateRequestSpec) { s.SignerName = "example.com/other" }, `pod "ns/mine" does not mount a podCertificate projected volume for signer "example.com/other"`},
		"no roles":     {func(s *certificatesv1beta1.PodCertificateRequestSpec) { s.SignerName = "example.com/failing" }, `error authorizing system:node:n1 to request podcertificaterequests for signer "example.com/failing": no roles`},
		"other node":   {func(s *certificatesv1beta1.PodCertificateRequestSpec) { s.NodeName = "n2" }, `PodCertificateRequest.Spec.NodeName="n2", which is not the requesting node "n1"`},
		"old node":     {func(s *certificatesv1beta1.PodCertificateRequestSpec) { s.NodeUID = "x" }, `!PodCertificateRequest for pod "ns/mine" names node UID "x", inconsistent with the running node ("nu")`},
		"theirs":       {func(s *certificatesv1beta1.PodCertificateRequestSpec) { s.PodName, s.PodUID = "theirs", "u2" }, `pod "ns/theirs" is not running on node "n1" named in the PodCertificateRequest`},
		"mirror":       {func(s *certificatesv1beta1.PodCertificateRequestSpec) { s.PodName, s.PodUID = "mirror", "um" }, `pod "ns/mirror" is a mirror pod`},
		"gone":         {func(s *certificatesv1beta1.PodCertificateRequestSpec) { s.PodName = "gone" }, `!while retrieving pod "ns/gone" named in the PodCertificateRequest: pods "gone" not found`},
		"blindly":      {func(s *certificatesv1beta1.PodCertificateRequestSpec) { s.PodName = "broken" }, `while retrieving pod "ns/broken" named in the PodCertificateRequest: etcdserver: request timed out`},
		"old pod":      {func(s *certificatesv1beta1.PodCertificateRequestSpec) { s.PodUID = "x" }, `!PodCertificateRequest for pod "ns/mine" contains pod UID ("x") which differs from running pod "u1"`},
		"account":      {func(s *certificatesv1beta1.PodCertificateRequestSpec) { s.ServiceAccountName = "x" }, `PodCertificateRequest for pod "ns/mine" contains serviceAccountName ("x") that differs from running pod ("sa")`},
		"old account":  {func(s *certificatesv1beta1.PodCertificateRequestSpec) { s.ServiceAccountUID = "x" }, `!PodCertificateRequest for pod "ns/mine" names service account UID "x", which differs from the running service account ("su")`},
	} {
		spec := certificatesv1beta1.PodCertificateRequestSpec{NodeName: "n1", NodeUID: "nu", PodName: "mine", PodUID: "u1", ServiceAccountName: "sa", ServiceAccountUID: "su", SignerName: "example.com/s"}
		tc.change(&spec)
		expect(t, name, ask{op: admission.Create, resource: requests, ns: "ns", obj: &certificatesv1beta1.PodCertificateRequest{Spec: spec}}, tc.want)
	}
	expect(t, "node is gone", ask{op: admission.Create, resource: requests, ns: "ns", user: agent("gone"),
		obj: &certificatesv1beta1.PodCertificateRequest{Spec: certificatesv1beta1.PodCertificateRequestSpec{NodeName: "gone"}}}, `!while retrieving node "gone" named in the PodCertificateRequest: nodes "gone" not found`)
	expect(t, "update", ask{op: admission.Update, resource: requests}, "unexpected operation UPDATE")
	expect(t, "status", ask{op: admission.Create, resource: requests, sub: "status"}, "unexpected subresource status")
	expect(t, "no request", ask{op: admission.Create, resource: requests, obj: mine()}, "unexpected type *v1.Pod")
}
