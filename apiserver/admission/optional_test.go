package admission_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sadmission "k8s.io/apiserver/pkg/admission"
	testclock "k8s.io/utils/clock/testing"

	"github.com/coracle-k8s/coracle/apiserver/admission"
	"github.com/coracle-k8s/coracle/apiserver/admission/alwayspullimages"
	"github.com/coracle-k8s/coracle/apiserver/admission/antiaffinity"
	"github.com/coracle-k8s/coracle/apiserver/admission/denyserviceexternalips"
	"github.com/coracle-k8s/coracle/apiserver/admission/eventratelimit"
	"github.com/coracle-k8s/coracle/apiserver/admission/extendedresourcetoleration"
	"github.com/coracle-k8s/coracle/apiserver/admission/namespaceautoprovision"
	"github.com/coracle-k8s/coracle/apiserver/admission/namespaceexists"
	"github.com/coracle-k8s/coracle/apiserver/admission/podnodeselector"
)

// places is a world of namespaces.
type places map[string]*corev1.Namespace

func (p places) GetNamespace(_ context.Context, name string) (*corev1.Namespace, error) {
	if ns := p[name]; ns != nil {
		return ns, nil
	}
	return nil, apierrors.NewNotFound(corev1.Resource("namespaces"), name)
}

func (p places) CreateNamespace(_ context.Context, name string) error {
	p[name] = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	return nil
}

func podAsk(op k8sadmission.Operation, pod, old *corev1.Pod) ask {
	a := ask{op: op, obj: pod, resource: "pods", ns: "ns", name: "p"}
	if old != nil {
		a.old = old
	}
	return a
}

func TestAlwaysPullImages(t *testing.T) {
	g := NewWithT(t)
	pod := func(image string) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Image: "i"}}, Containers: []corev1.Container{{Image: image, ImagePullPolicy: corev1.PullNever}},
			Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "v"}}}},
		}}
	}
	p := alwayspullimages.New()
	made := pod("a")
	wants(t, "create", admit(t, p, podAsk(k8sadmission.Create, made, nil)), "")
	g.Expect(made.Spec.Containers[0].ImagePullPolicy).To(Equal(corev1.PullAlways))
	g.Expect(made.Spec.InitContainers[0].ImagePullPolicy).To(Equal(corev1.PullAlways))
	g.Expect(made.Spec.Volumes[0].Image.PullPolicy).To(Equal(corev1.PullAlways))
	same := pod("a")
	wants(t, "the same images", admit(t, p, podAsk(k8sadmission.Update, same, pod("a"))), "")
	g.Expect(same.Spec.Containers[0].ImagePullPolicy).To(Equal(corev1.PullNever))
	other := pod("b")
	wants(t, "another image", admit(t, p, podAsk(k8sadmission.Update, other, pod("a"))), "")
	g.Expect(other.Spec.Containers[0].ImagePullPolicy).To(Equal(corev1.PullAlways))
	err := p.Validate(t.Context(), podAsk(k8sadmission.Create, pod("a"), nil).attributes(), nil)
	wants(t, "a webhook's word", err, `spec.containers[0].imagePullPolicy: Unsupported value: "Never": supported values: "Always"`)
}

func TestPodPlugins(t *testing.T) {
	g := NewWithT(t)
	apart := &corev1.Pod{Spec: corev1.PodSpec{Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: "zone"}}}}}}
	wants(t, "by zone", admit(t, antiaffinity.New(), podAsk(k8sadmission.Create, apart, nil)), "has TopologyKey zone but only key kubernetes.io/hostname is allowed")
	apart.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0].TopologyKey = corev1.LabelHostname
	wants(t, "by host", admit(t, antiaffinity.New(), podAsk(k8sadmission.Create, apart, nil)), "")

	one := resource.MustParse("1")
	gpu := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
		Requests: corev1.ResourceList{"example.com/gpu": one, "cpu": one, "hugepages-2Mi": one, "kubernetes.io/x": one}}}}}}
	for range 2 {
		wants(t, "a GPU", admit(t, extendedresourcetoleration.New(), podAsk(k8sadmission.Create, gpu, nil)), "")
	}
	g.Expect(gpu.Spec.Tolerations).To(Equal([]corev1.Toleration{{Key: "example.com/gpu", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}}))
}

func TestPodNodeSelector(t *testing.T) {
	g := NewWithT(t)
	world := places{"ns": {ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"scheduler.alpha.kubernetes.io/node-selector": "a=b"}}}, "other": {}}
	p, err := podnodeselector.New(world, strings.NewReader("podNodeSelectorPluginConfig: {clusterDefaultNodeSelector: c=d, ns: 'a=b,e=f'}"))
	g.Expect(err).NotTo(HaveOccurred())
	for selector, want := range map[string]string{
		"e=f": "", "a=x": "pod node label selector conflicts with its namespace node label selector",
		"g=h": "pod node label selector labels conflict with its namespace whitelist",
	} {
		key, value, _ := strings.Cut(selector, "=")
		pod := &corev1.Pod{Spec: corev1.PodSpec{NodeSelector: map[string]string{key: value}}}
		wants(t, selector, admit(t, p, podAsk(k8sadmission.Create, pod, nil)), want)
	}
	pod := &corev1.Pod{}
	a := podAsk(k8sadmission.Create, pod, nil)
	a.ns = "other"
	wants(t, "the default", admit(t, p, a), "")
	g.Expect(pod.Spec.NodeSelector).To(Equal(map[string]string{"c": "d"}))
}

func TestNamespacePlugins(t *testing.T) {
	world := places{}
	a := podAsk(k8sadmission.Create, &corev1.Pod{}, nil)
	wants(t, "none", admit(t, namespaceexists.New(world), a), `namespaces "ns" not found`)
	wants(t, "provided", admit(t, namespaceautoprovision.New(world), a), "")
	wants(t, "there", admit(t, namespaceexists.New(world), a), "")
}

func TestDenyServiceExternalIPs(t *testing.T) {
	service := func(ips ...string) *corev1.Service {
		return &corev1.Service{Spec: corev1.ServiceSpec{ExternalIPs: ips}}
	}
	p := denyserviceexternalips.New()
	a := ask{op: k8sadmission.Create, obj: service("1.2.3.4"), resource: "services", ns: "ns", name: "s"}
	wants(t, "new", admit(t, p, a), "Use of external IPs is denied by admission control")
	a = ask{op: k8sadmission.Update, obj: service("1.2.3.4"), old: service("1.2.3.4", "5.6.7.8"), resource: "services", ns: "ns", name: "s"}
	wants(t, "fewer", admit(t, p, a), "")
}

func TestEventRateLimit(t *testing.T) {
	g := NewWithT(t)
	_, err := eventratelimit.New(nil, nil)
	g.Expect(err).To(MatchError(ContainSubstring("limits: Invalid value")))
	_, err = eventratelimit.New(strings.NewReader("limits: [{type: Boat, qps: 1, burst: 1}]"), nil)
	g.Expect(err).To(MatchError(ContainSubstring("limits[0].type: Unsupported value")))
	clk := testclock.NewFakeClock(time.Now())
	p, err := eventratelimit.New(strings.NewReader("limits: [{type: Namespace, qps: 1, burst: 2}]"), clk)
	g.Expect(err).NotTo(HaveOccurred())
	event := func(ns string) error {
		gvk, gvr := corev1.SchemeGroupVersion.WithKind("Event"), corev1.SchemeGroupVersion.WithResource("events")
		return p.Validate(t.Context(), k8sadmission.NewAttributesRecord(&corev1.Event{}, nil, gvk, ns, "e", gvr, "", k8sadmission.Create, nil, false, nil), nil)
	}
	g.Expect(event("a")).To(Succeed())
	g.Expect(event("a")).To(Succeed())
	err = event("a")
	g.Expect(apierrors.IsTooManyRequests(err)).To(BeTrue())
	g.Expect(err).To(MatchError(ContainSubstring("limit reached on type Namespace for key a")))
	g.Expect(event("b")).To(Succeed())
	clk.Step(time.Second)
	g.Expect(event("a")).To(Succeed())
}

// TestNames holds the list to upstream's names and order. PodGroupProtection's
// feature is off by default.
func TestNames(t *testing.T) {
	g := NewWithT(t)
	upstream := strings.Fields(`AlwaysAdmit NamespaceAutoProvision NamespaceLifecycle NamespaceExists LimitPodHardAntiAffinityTopology
		LimitRanger ServiceAccount NodeRestriction TaintNodesByCondition AlwaysPullImages ImagePolicyWebhook PodSecurity PodNodeSelector
		Priority DefaultTolerationSeconds PodTolerationRestriction EventRateLimit ExtendedResourceToleration DefaultStorageClass
		StorageObjectInUseProtection PodGroupProtection OwnerReferencesPermissionEnforcement PersistentVolumeClaimResize RuntimeClass
		CertificateApproval CertificateSigning ClusterTrustBundleAttest CertificateSubjectRestriction DefaultIngressClass
		DenyServiceExternalIPs PodTopologyLabels NodeDeclaredFeatureValidator PodResizeValidator MutatingAdmissionPolicy
		MutatingAdmissionWebhook ValidatingAdmissionPolicy ValidatingAdmissionWebhook ResourceQuota AlwaysDeny`)
	g.Expect(admission.Names()).To(Equal(slices.DeleteFunc(upstream, func(name string) bool { return name == "PodGroupProtection" })))
}

func TestSelection(t *testing.T) {
	g := NewWithT(t)
	_, err := admission.NewSelection([]string{"PodSecurity", "Boat"}, nil, "")
	g.Expect(err).To(MatchError(ContainSubstring(`enablePlugins[1]: Unsupported value: "Boat"`)))
	_, err = admission.NewSelection(nil, nil, t.TempDir()+"/none")
	g.Expect(err).To(MatchError(ContainSubstring("configFile: unable to read admission control configuration")))
}
