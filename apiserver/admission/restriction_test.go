package admission_test

import (
	"context"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apiserver/admission/noderestriction"
	"github.com/coracle-k8s/coracle/apiserver/admission/ownerreferencespermission"
)

type objects struct {
	pods  map[string]*corev1.Pod
	nodes map[string]*corev1.Node
}

func (o objects) LivePod(_ context.Context, _, name string) (*corev1.Pod, error) {
	if p, ok := o.pods[name]; ok {
		return p, nil
	}
	return nil, apierrors.NewNotFound(corev1.Resource("pods"), name)
}

func (o objects) LiveNode(_ context.Context, name string) (*corev1.Node, error) {
	if n, ok := o.nodes[name]; ok {
		return n, nil
	}
	return nil, apierrors.NewNotFound(corev1.Resource("nodes"), name)
}

func (o objects) LiveObject(_ context.Context, gr schema.GroupResource, _, name string) (runtime.Object, error) {
	switch gr.Resource + "/" + name {
	case "serviceaccounts/sa":
		return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "sa", UID: "su"}}, nil
	case "persistentvolumeclaims/claim":
		return &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "volume"}}, nil
	case "persistentvolumes/volume":
		return &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "driver"}}}}, nil
	case "csidrivers/driver":
		return &storagev1.CSIDriver{Spec: storagev1.CSIDriverSpec{TokenRequests: []storagev1.TokenRequest{{Audience: "vault"}}}}, nil
	}
	return nil, apierrors.NewNotFound(gr, name)
}

// granting lets agents ask for tokens for one audience.
type granting string

func (g granting) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetVerb() == "request-serviceaccounts-token-audience" && a.GetResource() == string(g) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func TestNodeRestriction(t *testing.T) {
	mine := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "mine", UID: "u1"}, Spec: corev1.PodSpec{NodeName: "n1", ServiceAccountName: "sa", Volumes: []corev1.Volume{
		{VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{PodCertificate: &corev1.PodCertificateProjection{SignerName: "example.com/s"}}}}}},
		{VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{}}, {ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: "bank"}}}}}},
		{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "claim"}}},
	}}}
	theirs := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "theirs", UID: "u2"}, Spec: corev1.PodSpec{NodeName: "n2"}}
	p := noderestriction.New(objects{
		pods:  map[string]*corev1.Pod{"mine": mine, "theirs": theirs},
		nodes: map[string]*corev1.Node{"n1": {ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "nu"}}},
	}, granting("registry"))
	mirrorPod := func(change func(*corev1.Pod)) *corev1.Pod {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{corev1.MirrorPodAnnotationKey: "x"}, OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "n1", UID: "nu", Controller: ptr.To(true)}}},
			Spec:       corev1.PodSpec{NodeName: "n1"},
		}
		if change != nil {
			change(pod)
		}
		return pod
	}
	n := func(name string, labels map[string]string, taints ...corev1.Taint) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: corev1.NodeSpec{Taints: taints}}
	}
	token := func(pod, uid string) *authenticationv1.TokenRequest {
		return &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod, UID: types.UID(uid)}}}
	}
	tokenFor := func(audiences ...string) ask {
		t := token("mine", "u1")
		t.Spec.Audiences = audiences
		return ask{op: admission.Create, resource: "serviceaccounts", sub: "token", obj: t}
	}
	certificate := func(change func(*certificatesv1.PodCertificateRequestSpec)) ask {
		spec := certificatesv1.PodCertificateRequestSpec{NodeName: "n1", NodeUID: "nu", PodName: "mine", PodUID: "u1", ServiceAccountName: "sa", ServiceAccountUID: "su", SignerName: "example.com/s"}
		if change != nil {
			change(&spec)
		}
		return ask{op: admission.Create, resource: "certificates.k8s.io/podcertificaterequests", obj: &certificatesv1.PodCertificateRequest{Spec: spec}}
	}
	labelled := mine.DeepCopy()
	labelled.Labels = map[string]string{"a": "b"}
	lease := func(ns, name string) ask {
		return ask{op: admission.Update, resource: "coordination.k8s.io/leases", ns: ns, name: name}
	}
	for name, tc := range map[string]struct {
		ask  ask
		want string
	}{
		"mirror pod":           {ask{op: admission.Create, resource: "pods", obj: mirrorPod(nil)}, ""},
		"no mirror pod":        {ask{op: admission.Create, resource: "pods", obj: mirrorPod(func(p *corev1.Pod) { p.Annotations = nil })}, `pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods`},
		"mirror elsewhere":     {ask{op: admission.Create, resource: "pods", obj: mirrorPod(func(p *corev1.Pod) { p.Spec.NodeName = "n2" })}, "with spec.nodeName set to itself"},
		"mirror without owner": {ask{op: admission.Create, resource: "pods", obj: mirrorPod(func(p *corev1.Pod) { p.OwnerReferences = nil })}, "with an owner reference set to itself"},
		"mirror of old node":   {ask{op: admission.Create, resource: "pods", obj: mirrorPod(func(p *corev1.Pod) { p.OwnerReferences[0].UID = "x" })}, "UID mismatch"},
		"mirror with secret": {ask{op: admission.Create, resource: "pods", obj: mirrorPod(func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}}}
		})}, `node "n1" can not create pods that reference secrets`},
		"delete mine":          {ask{op: admission.Delete, resource: "pods", name: "mine"}, ""},
		"delete theirs":        {ask{op: admission.Delete, resource: "pods", name: "theirs"}, `node "n1" can only delete pods with spec.nodeName set to itself`},
		"update":               {ask{op: admission.Update, resource: "pods", name: "mine", obj: mine, old: mine}, "can only create and delete mirror pods"},
		"status":               {ask{op: admission.Update, resource: "pods", sub: "status", obj: mine, old: mine}, ""},
		"their status":         {ask{op: admission.Update, resource: "pods", sub: "status", obj: theirs, old: theirs}, "can only update pod status for pods with spec.nodeName set to itself"},
		"labels by status":     {ask{op: admission.Update, resource: "pods", sub: "status", obj: labelled, old: mine}, `node "n1" cannot update labels through pod status`},
		"evict":                {ask{op: admission.Create, resource: "pods", sub: "eviction", name: "mine"}, ""},
		"evict theirs":         {ask{op: admission.Create, resource: "pods", sub: "eviction", name: "theirs"}, "node n1 can only evict pods with spec.nodeName set to itself"},
		"exec":                 {ask{op: admission.Create, resource: "pods", sub: "exec", name: "mine"}, `unexpected pod subresource "exec"`},
		"register":             {ask{op: admission.Create, resource: "nodes", obj: n("n1", map[string]string{"kubernetes.io/hostname": "n1", "node.kubernetes.io/x": "", "example.com/x": ""})}, ""},
		"register with role":   {ask{op: admission.Create, resource: "nodes", obj: n("n1", map[string]string{"node-role.kubernetes.io/control-plane": ""})}, `node "n1" is not allowed to set the following labels: node-role.kubernetes.io/control-plane`},
		"register restricted":  {ask{op: admission.Create, resource: "nodes", obj: n("n1", map[string]string{"x.node-restriction.kubernetes.io/a": ""})}, "is not allowed to set the following labels"},
		"register other":       {ask{op: admission.Create, resource: "nodes", obj: n("n2", nil)}, `node "n1" is not allowed to modify node "n2"`},
		"other node":           {ask{op: admission.Update, resource: "nodes", name: "n2", obj: n("n2", nil), old: n("n2", nil)}, `node "n1" is not allowed to modify node "n2"`},
		"taints":               {ask{op: admission.Update, resource: "nodes", name: "n1", obj: n("n1", nil, corev1.Taint{Key: "a"}), old: n("n1", nil)}, `node "n1" is not allowed to modify taints`},
		"labels":               {ask{op: admission.Update, resource: "nodes", name: "n1", obj: n("n1", nil), old: n("n1", map[string]string{"k8s.io/x": ""})}, "is not allowed to modify labels: k8s.io/x"},
		"token":                {ask{op: admission.Create, resource: "serviceaccounts", sub: "token", obj: token("mine", "u1")}, ""},
		"certificate":          {certificate(nil), ""},
		"certificate, node":    {certificate(func(s *certificatesv1.PodCertificateRequestSpec) { s.NodeName = "n2" }), "which is not the requesting node"},
		"certificate, theirs":  {certificate(func(s *certificatesv1.PodCertificateRequestSpec) { s.PodName, s.PodUID = "theirs", "u2" }), "is not running on node"},
		"certificate, old pod": {certificate(func(s *certificatesv1.PodCertificateRequestSpec) { s.PodUID = "x" }), "which differs from running pod"},
		"certificate, account": {certificate(func(s *certificatesv1.PodCertificateRequestSpec) { s.ServiceAccountName = "other" }), "that differs from running pod"},
		"certificate, signer":  {certificate(func(s *certificatesv1.PodCertificateRequestSpec) { s.SignerName = "example.com/other" }), "does not mount a podCertificate projected volume"},
		"audience of a volume": {tokenFor("bank"), ""},
		"audience of a driver": {tokenFor("vault"), ""},
		"audience granted":     {tokenFor("registry"), ""},
		"audience of nobody":   {tokenFor("other"), `is not authorized to request tokens for audience "other"`},
		"two audiences":        {tokenFor("bank", "vault"), "node may only request 0 or 1 audiences"},
		"token of old pod":     {ask{op: admission.Create, resource: "serviceaccounts", sub: "token", obj: token("mine", "x")}, "does not match the UID in record"},
		"token of theirs":      {ask{op: admission.Create, resource: "serviceaccounts", sub: "token", obj: token("theirs", "u2")}, "node requested token bound to a pod scheduled on a different node"},
		"unbound token":        {ask{op: admission.Create, resource: "serviceaccounts", sub: "token", obj: &authenticationv1.TokenRequest{}}, "node requested token not bound to a pod"},
		"lease":                {lease("kube-node-lease", "n1"), ""},
		"other lease":          {lease("kube-node-lease", "n2"), "can only access node lease with the same name as the requesting node"},
		"lease elsewhere":      {lease("kube-system", "n1"), `can only access leases in the "kube-node-lease" system namespace`},
		"not a node":           {ask{op: admission.Delete, resource: "pods", name: "theirs", user: &user.DefaultInfo{Name: "x"}}, ""},
	} {
		if tc.ask.user == nil {
			tc.ask.user = &user.DefaultInfo{Name: "system:node:n1", Groups: []string{"system:nodes"}}
		}
		wants(t, name, admit(t, p, tc.ask), tc.want)
	}
}

func TestOwnerReferences(t *testing.T) {
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	allowed := map[string]bool{}
	a := authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		if allowed[a.GetVerb()+" "+a.GetResource()+"/"+a.GetSubresource()] {
			return authorizer.DecisionAllow, "", nil
		}
		return authorizer.DecisionNoOpinion, "no", nil
	})
	p := ownerreferencespermission.New(a, mapper)
	object := func(block bool, kind string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "c", OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: kind, Name: "o", UID: "u", BlockOwnerDeletion: &block}}}}
	}
	update := ask{op: admission.Update, resource: "configmaps", name: "c", ns: "a", obj: object(false, "Pod"), old: &corev1.ConfigMap{}}
	wants(t, "may not delete", admit(t, p, update), "cannot set an ownerRef on a resource you can't delete: no, <nil>")
	create := ask{op: admission.Create, resource: "configmaps", ns: "a", obj: object(true, "Pod")}
	wants(t, "may not block", admit(t, p, create), "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: no, <nil>")
	allowed["update pods/finalizers"], allowed["delete configmaps/"] = true, true
	wants(t, "may block", admit(t, p, create), "")
	wants(t, "may delete", admit(t, p, update), "")
	create.obj = object(true, "Other")
	wants(t, "unknown kind", admit(t, p, create), "cannot find RESTMapping for APIVersion v1 Kind Other")
}
