package admission_test

import (
	"context"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/warning"
	testclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apiserver/admission/limitranger"
	"github.com/coracle-k8s/coracle/apiserver/admission/namespacelifecycle"
	"github.com/coracle-k8s/coracle/apiserver/admission/podsecurity"
	"github.com/coracle-k8s/coracle/apiserver/admission/priority"
	"github.com/coracle-k8s/coracle/apiserver/admission/serviceaccount"
	"github.com/coracle-k8s/coracle/apiserver/admission/taintnodesbycondition"
	"github.com/coracle-k8s/coracle/apiserver/admission/tainttolerationdefaults"
)

// ask is a request in short.
type ask struct {
	op       admission.Operation
	obj, old runtime.Object
	resource string // of the core group
	sub      string
	name     string
	ns       string
	user     user.Info
}

func (a ask) attributes() admission.Attributes {
	kind := schema.GroupVersionKind{Version: "v1", Kind: map[string]string{"pods": "Pod", "namespaces": "Namespace", "nodes": "Node"}[a.resource]}
	if a.user == nil {
		a.user = &user.DefaultInfo{Name: "somebody"}
	}
	gvr := corev1.SchemeGroupVersion.WithResource(a.resource)
	if g, r, ok := strings.Cut(a.resource, "/"); ok {
		gvr = schema.GroupVersionResource{Group: g, Version: "v1", Resource: r}
	}
	return admission.NewAttributesRecord(a.obj, a.old, kind, a.ns, a.name, gvr, a.sub, a.op, &metav1.CreateOptions{}, false, a.user)
}

func admit(t *testing.T, p admission.Interface, a ask) error {
	attrs := a.attributes()
	if !p.Handles(a.op) {
		return nil
	}
	if m, ok := p.(admission.MutationInterface); ok {
		if err := m.Admit(t.Context(), attrs, nil); err != nil {
			return err
		}
	}
	if v, ok := p.(admission.ValidationInterface); ok {
		return v.Validate(t.Context(), attrs, nil)
	}
	return nil
}

func wants(t *testing.T, name string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", name, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: got %v, want %q", name, err, want)
	}
}

type namespaces struct {
	cached, stored map[string]corev1.NamespacePhase
	reads          int
}

func (n *namespaces) CachedNamespace(name string) (*corev1.Namespace, bool) {
	phase, ok := n.cached[name]
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NamespaceStatus{Phase: phase}}, ok
}

func (n *namespaces) LiveNamespace(_ context.Context, name string) (*corev1.Namespace, error) {
	n.reads++
	phase, ok := n.stored[name]
	if !ok {
		return nil, apierrors.NewNotFound(corev1.Resource("namespaces"), name)
	}
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NamespaceStatus{Phase: phase}}, nil
}

func TestNamespaceLifecycle(t *testing.T) {
	g := NewWithT(t)
	n := &namespaces{
		cached: map[string]corev1.NamespacePhase{"a": corev1.NamespaceActive, "going": corev1.NamespaceTerminating},
		stored: map[string]corev1.NamespacePhase{"a": corev1.NamespaceActive, "new": corev1.NamespaceActive, "going": corev1.NamespaceTerminating},
	}
	clock := testclock.NewFakePassiveClock(time.Now())
	p := namespacelifecycle.New(n, clock)
	create := func(ns string) error {
		return admit(t, p, ask{op: admission.Create, obj: &corev1.Pod{}, resource: "pods", ns: ns, name: "x"})
	}
	wants(t, "cached", create("a"), "")
	g.Expect(n.reads).To(BeZero())
	wants(t, "not cached yet", create("new"), "")
	wants(t, "missing", create("none"), `namespaces "none" not found`)
	err := create("going")
	wants(t, "terminating", err, `pods "x" is forbidden: unable to create new content in namespace going because it is being terminated`)
	g.Expect(apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)).To(BeTrue())

	remove := func(name string) error {
		return admit(t, p, ask{op: admission.Delete, resource: "namespaces", name: name, ns: name})
	}
	wants(t, "kube-system", remove("kube-system"), "this namespace may not be deleted")
	wants(t, "delete", remove("a"), "")
	n.stored["a"] = corev1.NamespaceTerminating
	wants(t, "the cache is behind", create("a"), "being terminated")
	clock.SetTime(clock.Now().Add(time.Minute))
	reads := n.reads
	wants(t, "the cache is believed again", create("a"), "")
	g.Expect(n.reads).To(Equal(reads))
	wants(t, "review", admit(t, p, ask{op: admission.Create, resource: "authorization.k8s.io/localsubjectaccessreviews", ns: "none"}), "")
}

type limits []*corev1.LimitRange

func (l limits) LimitRanges(context.Context, string) ([]*corev1.LimitRange, error) { return l, nil }

func list(pairs ...string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		out[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return out
}

func TestLimitRanger(t *testing.T) {
	g := NewWithT(t)
	r := func(items ...corev1.LimitRangeItem) limits {
		return limits{{Spec: corev1.LimitRangeSpec{Limits: items}}}
	}
	pod := func(requests, limits corev1.ResourceList) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits}}}}}
	}
	for name, tc := range map[string]struct {
		limits limits
		pod    *corev1.Pod
		want   string
	}{
		"nothing":      {nil, pod(nil, nil), ""},
		"below min":    {r(corev1.LimitRangeItem{Type: "Container", Min: list("cpu", "50m")}), pod(list("cpu", "10m"), nil), "minimum cpu usage per Container is 50m, but request is 10m"},
		"no request":   {r(corev1.LimitRangeItem{Type: "Container", Min: list("cpu", "50m")}), pod(nil, nil), "minimum cpu usage per Container is 50m.  No request is specified"},
		"above max":    {r(corev1.LimitRangeItem{Type: "Container", Max: list("memory", "1Gi")}), pod(nil, list("memory", "2Gi")), "maximum memory usage per Container is 1Gi, but limit is 2Gi"},
		"no limit":     {r(corev1.LimitRangeItem{Type: "Container", Max: list("memory", "1Gi")}), pod(nil, nil), "maximum memory usage per Container is 1Gi.  No limit is specified"},
		"default fits": {r(corev1.LimitRangeItem{Type: "Container", Max: list("memory", "1Gi"), Default: list("memory", "1Gi"), DefaultRequest: list("memory", "1Gi")}), pod(nil, nil), ""},
		"ratio":        {r(corev1.LimitRangeItem{Type: "Container", MaxLimitRequestRatio: list("cpu", "2")}), pod(list("cpu", "1"), list("cpu", "3")), "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000"},
		"pod":          {r(corev1.LimitRangeItem{Type: "Pod", Max: list("cpu", "1")}), pod(nil, list("cpu", "2")), "maximum cpu usage per Pod is 1, but limit is 2"},
	} {
		err := admit(t, limitranger.New(tc.limits), ask{op: admission.Create, obj: tc.pod, resource: "pods", ns: "a", name: "p"})
		wants(t, name, err, tc.want)
	}
	p := pod(nil, list("memory", "1Gi"))
	defaults := r(corev1.LimitRangeItem{Type: "Container", Default: list("cpu", "1", "memory", "2Gi"), DefaultRequest: list("cpu", "100m", "memory", "64Mi")})
	wants(t, "defaults", admit(t, limitranger.New(defaults), ask{op: admission.Create, obj: p, resource: "pods"}), "")
	g.Expect(p.Annotations).To(HaveKeyWithValue("kubernetes.io/limit-ranger", "LimitRanger plugin set: cpu, memory request for container c; cpu limit for container c"))
	g.Expect(p.Spec.Containers[0].Resources.Limits.Memory().String()).To(Equal("1Gi"))

	claim := &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: list("storage", "10Gi")}}}
	err := admit(t, limitranger.New(r(corev1.LimitRangeItem{Type: "PersistentVolumeClaim", Max: list("storage", "5Gi")})), ask{op: admission.Create, obj: claim, resource: "persistentvolumeclaims"})
	wants(t, "claim", err, "maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 10Gi")
}

type accounts map[string]*corev1.ServiceAccount

func (a accounts) ServiceAccount(_ context.Context, _, name string) (*corev1.ServiceAccount, error) {
	if sa, ok := a[name]; ok {
		return sa, nil
	}
	return nil, apierrors.NewNotFound(corev1.Resource("serviceaccount"), name)
}

type fixedName struct{}

func (fixedName) GenerateName(base string) string { return base + "abcde" }

func TestServiceAccount(t *testing.T) {
	g := NewWithT(t)
	p := serviceaccount.New(accounts{
		"default": {ObjectMeta: metav1.ObjectMeta{Name: "default"}, ImagePullSecrets: []corev1.LocalObjectReference{{Name: "pull"}}},
		"quiet":   {ObjectMeta: metav1.ObjectMeta{Name: "quiet"}, AutomountServiceAccountToken: ptr.To(false)},
		"strict":  {ObjectMeta: metav1.ObjectMeta{Name: "strict", Annotations: map[string]string{"kubernetes.io/enforce-mountable-secrets": "true"}}, Secrets: []corev1.ObjectReference{{Name: "mine"}}},
	}, fixedName{})
	create := func(change func(*corev1.Pod)) (*corev1.Pod, error) {
		pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}, InitContainers: []corev1.Container{{Name: "i"}}}}
		if change != nil {
			change(pod)
		}
		return pod, admit(t, p, ask{op: admission.Create, obj: pod, resource: "pods", ns: "ns", name: "p"})
	}
	pod, err := create(nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(pod.Spec.ServiceAccountName).To(Equal("default"))
	g.Expect(pod.Spec.DeprecatedServiceAccount).To(Equal("default"))
	g.Expect(pod.Spec.ImagePullSecrets).To(ConsistOf(corev1.LocalObjectReference{Name: "pull"}))
	mount := corev1.VolumeMount{Name: "kube-api-access-abcde", ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}
	g.Expect(pod.Spec.Containers[0].VolumeMounts).To(ConsistOf(mount))
	g.Expect(pod.Spec.InitContainers[0].VolumeMounts).To(ConsistOf(mount))
	g.Expect(pod.Spec.Volumes).To(ConsistOf(HaveField("Name", "kube-api-access-abcde")))
	g.Expect(pod.Spec.Volumes[0].Projected.Sources).To(HaveLen(3))

	for name, change := range map[string]func(*corev1.Pod){
		"account": func(p *corev1.Pod) { p.Spec.ServiceAccountName = "quiet" },
		"pod":     func(p *corev1.Pod) { p.Spec.AutomountServiceAccountToken = ptr.To(false) },
	} {
		pod, err = create(change)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(pod.Spec.Volumes).To(BeEmpty(), name)
	}
	pod, err = create(func(p *corev1.Pod) {
		p.Spec.ServiceAccountName = "quiet"
		p.Spec.AutomountServiceAccountToken = ptr.To(true)
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "own", MountPath: serviceaccount.TokenPath}}
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(pod.Spec.Containers[0].VolumeMounts).To(HaveLen(1))
	g.Expect(pod.Spec.Volumes).To(HaveLen(1), "for the init container")
}

func TestServiceAccountRefuses(t *testing.T) {
	p := serviceaccount.New(accounts{
		"default": {ObjectMeta: metav1.ObjectMeta{Name: "default"}},
		"strict":  {ObjectMeta: metav1.ObjectMeta{Name: "strict", Annotations: map[string]string{"kubernetes.io/enforce-mountable-secrets": "true"}}, Secrets: []corev1.ObjectReference{{Name: "mine"}}},
	}, fixedName{})
	create := func(change func(*corev1.Pod)) (*corev1.Pod, error) {
		pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}}
		change(pod)
		return pod, admit(t, p, ask{op: admission.Create, obj: pod, resource: "pods", ns: "ns", name: "p"})
	}
	_, err := create(func(p *corev1.Pod) { p.Spec.ServiceAccountName = "none" })
	wants(t, "missing", err, `pods "p" is forbidden: error looking up service account ns/none: serviceaccount "none" not found`)
	_, err = create(func(p *corev1.Pod) {
		p.Spec.ServiceAccountName = "strict"
		p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "other"}}}}
	})
	wants(t, "strict", err, `volume with secret.secretName="other" is not allowed because service account strict does not reference that secret`)
	_, err = create(func(p *corev1.Pod) {
		p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
		p.Spec.ServiceAccountName = "default"
	})
	wants(t, "mirror", err, "a mirror pod may not reference service accounts")
	for kind, source := range map[string]corev1.VolumeSource{
		"secret": {Secret: &corev1.SecretVolumeSource{SecretName: "x"}},
		"cinder": {Cinder: &corev1.CinderVolumeSource{SecretRef: &corev1.LocalObjectReference{Name: "x"}}},
		"csi":    {CSI: &corev1.CSIVolumeSource{Driver: "d", NodePublishSecretRef: &corev1.LocalObjectReference{Name: "x"}}},
	} {
		_, err = create(func(p *corev1.Pod) {
			p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
			p.Spec.Volumes = []corev1.Volume{{VolumeSource: source}}
		})
		wants(t, "mirror with "+kind, err, "a mirror pod may not reference secrets")
	}
	_, err = create(func(p *corev1.Pod) {
		p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
		p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{}}}}}}}
	})
	wants(t, "mirror with token", err, "a mirror pod may not use ServiceAccountToken volume projections")

	// Containers added later.
	for _, c := range []struct{ account, secret, want string }{
		{"default", "other", ""},
		{"strict", "mine", ""},
		{"strict", "other", `ephemeral container debug with envVar X referencing secret.secretName="other" is not allowed because service account strict does not reference that secret`},
		{"", "", "no service account specified for pod ns/p"}, // as of mirror pods
		{"none", "", "error looking up service account ns/none"},
	} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{ServiceAccountName: c.account}}
		if c.account == "" {
			pod.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
		}
		pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Env: []corev1.EnvVar{
			{Name: "X", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: c.secret}}}},
		}}}}
		if c.secret == "" {
			pod.Spec.EphemeralContainers[0].Env = nil
		}
		wants(t, "ephemeral container of "+c.account, admit(t, p, ask{op: admission.Update, obj: pod, old: pod, resource: "pods", sub: "ephemeralcontainers", ns: "ns", name: "p"}), c.want)
	}
}

func TestTolerationsAndTaints(t *testing.T) {
	g := NewWithT(t)
	pod := &corev1.Pod{Spec: corev1.PodSpec{Tolerations: []corev1.Toleration{{Key: "node.kubernetes.io/not-ready", Operator: "Exists", Effect: "NoExecute"}}}}
	for range 2 {
		wants(t, "tolerations", admit(t, tainttolerationdefaults.New(300, 300), ask{op: admission.Create, obj: pod, resource: "pods"}), "")
		g.Expect(pod.Spec.Tolerations).To(HaveLen(2))
	}
	g.Expect(pod.Spec.Tolerations[1]).To(Equal(corev1.Toleration{Key: "node.kubernetes.io/unreachable", Operator: "Exists", Effect: "NoExecute", TolerationSeconds: ptr.To[int64](300)}))
	all := &corev1.Pod{Spec: corev1.PodSpec{Tolerations: []corev1.Toleration{{Operator: "Exists"}}}}
	wants(t, "all", admit(t, tainttolerationdefaults.New(300, 300), ask{op: admission.Create, obj: all, resource: "pods"}), "")
	g.Expect(all.Spec.Tolerations).To(HaveLen(1))

	n := &corev1.Node{}
	for range 2 {
		wants(t, "taint", admit(t, taintnodesbycondition.New(), ask{op: admission.Create, obj: n, resource: "nodes"}), "")
		g.Expect(n.Spec.Taints).To(ConsistOf(corev1.Taint{Key: "node.kubernetes.io/not-ready", Effect: "NoSchedule"}))
	}
}

type classes []*schedulingv1.PriorityClass

func (c classes) PriorityClass(_ context.Context, name string) (*schedulingv1.PriorityClass, bool, error) {
	for _, class := range c {
		if class.Name == name {
			return class, true, nil
		}
	}
	return nil, false, nil
}

func (c classes) PriorityClasses(context.Context) ([]*schedulingv1.PriorityClass, error) {
	return c, nil
}

func TestPriority(t *testing.T) {
	g := NewWithT(t)
	class := func(name string, value int32, def bool) *schedulingv1.PriorityClass {
		return &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value, GlobalDefault: def}
	}
	some := classes{class("high", 1000, false), class("usual", 10, true)}
	for name, tc := range map[string]struct {
		classes  priority.Classes
		spec     corev1.PodSpec
		class    string
		priority int32
		want     string
	}{
		"no classes":    {nil, corev1.PodSpec{}, "", 0, ""},
		"default class": {some, corev1.PodSpec{}, "usual", 10, ""},
		"named":         {some, corev1.PodSpec{PriorityClassName: "high"}, "high", 1000, ""},
		"built in":      {nil, corev1.PodSpec{PriorityClassName: "system-node-critical"}, "system-node-critical", 2000001000, ""},
		"unknown":       {some, corev1.PodSpec{PriorityClassName: "x"}, "", 0, "no PriorityClass with name x was found"},
		"own number":    {some, corev1.PodSpec{PriorityClassName: "high", Priority: ptr.To[int32](5)}, "", 0, "the integer value of priority (5) must not be provided in pod spec; priority admission controller computed 1000 from the given PriorityClass name"},
		"own policy":    {nil, corev1.PodSpec{PreemptionPolicy: ptr.To(corev1.PreemptNever)}, "", 0, "the string value of PreemptionPolicy (Never) must not be provided in pod spec"},
	} {
		pod := &corev1.Pod{Spec: tc.spec}
		err := admit(t, priority.New(tc.classes), ask{op: admission.Create, obj: pod, resource: "pods"})
		wants(t, name, err, tc.want)
		if err == nil {
			g.Expect(pod.Spec.PriorityClassName).To(Equal(tc.class), name)
			g.Expect(*pod.Spec.Priority).To(Equal(tc.priority), name)
			g.Expect(*pod.Spec.PreemptionPolicy).To(Equal(corev1.PreemptLowerPriority), name)
		}
	}
	err := admit(t, priority.New(some), ask{op: admission.Create, obj: class("second", 1, true), resource: "scheduling.k8s.io/priorityclasses"})
	wants(t, "second default", err, "PriorityClass usual is already marked as default. Only one default can exist")
}

type podSecurityObjects map[string]map[string]string

func (o podSecurityObjects) GetNamespace(_ context.Context, name string) (*corev1.Namespace, error) {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: o[name]}}, nil
}

func (podSecurityObjects) ListPods(context.Context, string) ([]*corev1.Pod, error) { return nil, nil }

type recorded struct{ texts []string }

func (r *recorded) AddWarning(_, text string) { r.texts = append(r.texts, text) }

func TestPodSecurity(t *testing.T) {
	g := NewWithT(t)
	p, err := podsecurity.New(podsecurity.Config{Objects: podSecurityObjects{
		"strict":  {"pod-security.kubernetes.io/enforce": "baseline"},
		"warning": {"pod-security.kubernetes.io/warn": "restricted"},
	}})
	g.Expect(err).NotTo(HaveOccurred())
	pod := &corev1.Pod{Spec: corev1.PodSpec{HostNetwork: true, Containers: []corev1.Container{{Name: "c"}}}}
	create := func(ns string) ([]string, error) {
		r := &recorded{}
		attrs := ask{op: admission.Create, obj: pod, resource: "pods", ns: ns, name: "p"}.attributes()
		err := p.Validate(warning.WithWarningRecorder(t.Context(), r), attrs, nil)
		return r.texts, err
	}
	_, err = create("free")
	wants(t, "free", err, "")
	_, err = create("strict")
	wants(t, "strict", err, `pods "p" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)`)
	g.Expect(apierrors.IsForbidden(err)).To(BeTrue())
	texts, err := create("warning")
	wants(t, "warning", err, "")
	g.Expect(texts).To(ConsistOf(ContainSubstring(`would violate PodSecurity "restricted:latest"`)))
}
