package noderestriction_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/coracle-k8s/coracle/apiserver/admission/noderestriction"
)

// objects are those that the plugin may read. Those named broken cannot be read.
type objects struct{}

var errBroken = errors.New("etcdserver: request timed out")

func (objects) LivePod(_ context.Context, _, name string) (*corev1.Pod, error) {
	switch name {
	case "mine":
		return mine(), nil
	case "theirs":
		return theirs(), nil
	case "mirror":
		return mirror(nil), nil
	case "broken":
		return nil, errBroken
	}
	return nil, apierrors.NewNotFound(corev1.Resource("pods"), name)
}

func (objects) LiveNode(_ context.Context, name string) (*corev1.Node, error) {
	switch name {
	case "n1":
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "nu"}}, nil
	case "broken":
		return nil, errBroken
	}
	return nil, apierrors.NewNotFound(corev1.Resource("nodes"), name)
}

func (objects) LiveObject(_ context.Context, gr schema.GroupResource, _, name string) (runtime.Object, error) {
	volume := func(s corev1.PersistentVolumeSource) (runtime.Object, error) {
		return &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: s}}, nil
	}
	driver := func(audience string) (runtime.Object, error) {
		return &storagev1.CSIDriver{Spec: storagev1.CSIDriverSpec{TokenRequests: []storagev1.TokenRequest{{Audience: audience}}}}, nil
	}
	switch gr.Resource + "/" + name {
	case "serviceaccounts/sa":
		return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "sa", UID: "su"}}, nil
	case "persistentvolumeclaims/claim", "persistentvolumeclaims/mine-scratch", "persistentvolumeclaims/old":
		return &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "v-" + name}}, nil
	case "persistentvolumes/v-claim":
		return volume(corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "driver"}})
	case "persistentvolumes/v-mine-scratch":
		return volume(corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "scratch"}})
	case "persistentvolumes/v-old":
		return volume(corev1.PersistentVolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{VolumeID: "x"}})
	case "csidrivers/driver":
		return driver("vault")
	case "csidrivers/scratch":
		return driver("safe")
	case "csidrivers/inline":
		return driver("drawer")
	case "csidrivers/ebs.csi.aws.com":
		return driver("aws")
	case "csidrivers/disk.csi.azure.com":
		return driver("azure")
	}
	return nil, apierrors.NewNotFound(gr, name)
}

// rights allow by verb and resource; those of the value false fail.
type rights map[string]bool

func (r rights) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	switch allowed, known := r[a.GetVerb()+" "+a.GetResource()+" "+a.GetName()]; {
	case allowed:
		return authorizer.DecisionAllow, "", nil
	case known:
		return authorizer.DecisionNoOpinion, "", errors.New("no roles")
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// ask is a request of the node n1.
type ask struct {
	op       admission.Operation
	resource schema.GroupVersionResource
	sub      string
	ns, name string
	obj, old runtime.Object
	user     user.Info
}

func agent(name string) user.Info {
	return &user.DefaultInfo{Name: "system:node:" + name, Groups: []string{"system:nodes"}}
}

func core(resource string) schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource(resource)
}

// expect asks, and wants the words of the refusal, empty for none. Errors that
// are no refusal begin with an exclamation mark.
func expect(t *testing.T, name string, a ask, want string) {
	t.Helper()
	if got := admit(t, a); got != want {
		t.Errorf("%s:\n got %s\nwant %s", name, got, want)
	}
}

// expectPrefix is expect for words that end in what changed.
func expectPrefix(t *testing.T, name string, a ask, want string) {
	t.Helper()
	if got := admit(t, a); !strings.HasPrefix(got, want) || (got == "") != (want == "") {
		t.Errorf("%s:\n got %s\nwant %s...", name, got, want)
	}
}

func admit(t *testing.T, a ask) string {
	t.Helper()
	if a.user == nil {
		a.user = agent("n1")
	}
	p := noderestriction.New(objects{}, rights{
		"request-serviceaccounts-token-audience registry sa":                   true,
		"request-serviceaccounts-token-audience failing sa":                    false,
		"request-serviceaccounts-podcertificate-signer example.com:granted sa": true,
		"request-serviceaccounts-podcertificate-signer example.com:failing sa": false,
	})
	if !p.Handles(a.op) {
		return ""
	}
	attributes := admission.NewAttributesRecord(a.obj, a.old, schema.GroupVersionKind{}, a.ns, a.name, a.resource, a.sub, a.op, &metav1.CreateOptions{}, false, a.user)
	err := p.Admit(t.Context(), attributes, nil)
	switch {
	case err == nil:
		return ""
	case apierrors.IsForbidden(err):
		_, words, _ := strings.Cut(err.Error(), "forbidden: ")
		return words
	}
	return "!" + err.Error()
}
