package admission_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apiserver/admission/defaultingressclass"
	"github.com/coracle-k8s/coracle/apiserver/admission/defaultstorageclass"
	"github.com/coracle-k8s/coracle/apiserver/admission/podtopologylabels"
	"github.com/coracle-k8s/coracle/apiserver/admission/runtimeclass"
	"github.com/coracle-k8s/coracle/apiserver/admission/storageobjectinuse"
	"github.com/coracle-k8s/coracle/apiserver/admission/volumeresize"
)

// lookups holds the objects that the plugins look up.
type lookups struct {
	runtime map[string]*nodev1.RuntimeClass
	storage []*storagev1.StorageClass
	ingress []*networkingv1.IngressClass
	nodes   map[string]map[string]string
}

func (c lookups) RuntimeClass(_ context.Context, name string) (*nodev1.RuntimeClass, bool, error) {
	class, ok := c.runtime[name]
	return class, ok, nil
}

func (c lookups) StorageClasses(context.Context) ([]*storagev1.StorageClass, error) {
	return c.storage, nil
}

func (c lookups) StorageClass(_ context.Context, name string) (*storagev1.StorageClass, bool, error) {
	for _, class := range c.storage {
		if class.Name == name {
			return class, true, nil
		}
	}
	return nil, false, nil
}

func (c lookups) IngressClasses(context.Context) ([]*networkingv1.IngressClass, error) {
	return c.ingress, nil
}

func (c lookups) NodeLabels(_ context.Context, name string) (map[string]string, error) {
	return c.nodes[name], nil
}

func TestRuntimeClass(t *testing.T) {
	g := NewWithT(t)
	overhead := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}
	p := runtimeclass.New(lookups{runtime: map[string]*nodev1.RuntimeClass{
		"plain": {Handler: "h"},
		"full": {Handler: "h", Overhead: &nodev1.Overhead{PodFixed: overhead}, Scheduling: &nodev1.Scheduling{
			NodeSelector: map[string]string{"os": "vm"},
			Tolerations:  []corev1.Toleration{{Key: "a", Operator: corev1.TolerationOpExists}, {Key: "b", Operator: corev1.TolerationOpEqual, Value: "1"}},
		}},
	}})
	create := func(change func(*corev1.PodSpec)) (*corev1.Pod, error) {
		pod := &corev1.Pod{Spec: corev1.PodSpec{RuntimeClassName: ptr.To("full")}}
		change(&pod.Spec)
		return pod, admit(t, p, ask{op: admission.Create, obj: pod, resource: "pods"})
	}
	pod, err := create(func(s *corev1.PodSpec) {
		s.NodeSelector = map[string]string{"disk": "ssd"}
		s.Tolerations = []corev1.Toleration{{Key: "a", Operator: corev1.TolerationOpEqual, Value: "x"}, {Key: "c", Operator: corev1.TolerationOpExists}}
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(pod.Spec.Overhead).To(Equal(overhead))
	g.Expect(pod.Spec.NodeSelector).To(Equal(map[string]string{"disk": "ssd", "os": "vm"}))
	g.Expect(pod.Spec.Tolerations).To(Equal([]corev1.Toleration{{Key: "c", Operator: corev1.TolerationOpExists},
		{Key: "a", Operator: corev1.TolerationOpExists}, {Key: "b", Operator: corev1.TolerationOpEqual, Value: "1"}}))
	for want, change := range map[string]func(*corev1.PodSpec){
		`pod rejected: RuntimeClass "none" not found`: func(s *corev1.PodSpec) { s.RuntimeClassName = ptr.To("none") },
		"pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead": func(s *corev1.PodSpec) {
			s.Overhead = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}
		},
		"pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead": func(s *corev1.PodSpec) {
			s.RuntimeClassName, s.Overhead = ptr.To("plain"), overhead
		},
		"conflict: runtimeClass.scheduling.nodeSelector[os] = vm; pod.spec.nodeSelector[os] = x": func(s *corev1.PodSpec) { s.NodeSelector = map[string]string{"os": "x"} },
	} {
		_, err := create(change)
		wants(t, want, err, want)
	}
}

func TestDefaultClasses(t *testing.T) {
	g := NewWithT(t)
	meta := func(name string, hour int, annotation string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(time.Date(2026, 1, 1, hour, 0, 0, 0, time.UTC)), Annotations: map[string]string{annotation: "true"}}
	}
	const storageDefault, ingressDefault = "storageclass.kubernetes.io/is-default-class", "ingressclass.kubernetes.io/is-default-class"
	all := lookups{
		storage: []*storagev1.StorageClass{{ObjectMeta: meta("old", 1, storageDefault)}, {ObjectMeta: meta("new", 2, storageDefault)}, {ObjectMeta: meta("newest", 3, "x")}},
		ingress: []*networkingv1.IngressClass{{ObjectMeta: meta("b", 2, ingressDefault)}, {ObjectMeta: meta("a", 2, ingressDefault)}},
	}
	claim := func(class *string) *corev1.PersistentVolumeClaim {
		c := &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: class}}
		g.Expect(admit(t, defaultstorageclass.New(all), ask{op: admission.Create, obj: c, resource: "persistentvolumeclaims"})).To(Succeed())
		return c
	}
	g.Expect(claim(nil).Spec.StorageClassName).To(HaveValue(Equal("new")))
	g.Expect(claim(ptr.To("")).Spec.StorageClassName).To(HaveValue(BeEmpty()))
	in := &networkingv1.Ingress{}
	g.Expect(admit(t, defaultingressclass.New(all), ask{op: admission.Create, obj: in, resource: "networking.k8s.io/ingresses"})).To(Succeed())
	g.Expect(in.Spec.IngressClassName).To(HaveValue(Equal("a")))
	in = &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"kubernetes.io/ingress.class": "x"}}}
	g.Expect(admit(t, defaultingressclass.New(all), ask{op: admission.Create, obj: in, resource: "networking.k8s.io/ingresses"})).To(Succeed())
	g.Expect(in.Spec.IngressClassName).To(BeNil())
}

func TestStorageObjectsGetFinalizers(t *testing.T) {
	g := NewWithT(t)
	pv, pvc, vac := &corev1.PersistentVolume{}, &corev1.PersistentVolumeClaim{}, &storagev1.VolumeAttributesClass{}
	for range 2 {
		g.Expect(admit(t, storageobjectinuse.New(), ask{op: admission.Create, obj: pv, resource: "persistentvolumes"})).To(Succeed())
		g.Expect(admit(t, storageobjectinuse.New(), ask{op: admission.Create, obj: pvc, resource: "persistentvolumeclaims"})).To(Succeed())
		g.Expect(admit(t, storageobjectinuse.New(), ask{op: admission.Create, obj: vac, resource: "storage.k8s.io/volumeattributesclasses"})).To(Succeed())
	}
	g.Expect(pv.Finalizers).To(Equal([]string{"kubernetes.io/pv-protection"}))
	g.Expect(pvc.Finalizers).To(Equal([]string{"kubernetes.io/pvc-protection"}))
	g.Expect(vac.Finalizers).To(Equal([]string{"kubernetes.io/vac-protection"}))
}

func TestClaimsGrow(t *testing.T) {
	p := volumeresize.New(lookups{storage: []*storagev1.StorageClass{
		{ObjectMeta: metav1.ObjectMeta{Name: "yes"}, AllowVolumeExpansion: ptr.To(true)}, {ObjectMeta: metav1.ObjectMeta{Name: "no"}}}})
	claim := func(class, size string, phase corev1.PersistentVolumeClaimPhase) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{Status: corev1.PersistentVolumeClaimStatus{Phase: phase}, Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class,
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}}}}
	}
	for _, c := range []struct {
		class, size string
		phase       corev1.PersistentVolumeClaimPhase
		want        string
	}{
		{"yes", "2Gi", corev1.ClaimBound, ""},
		{"no", "1Gi", corev1.ClaimPending, ""},
		{"yes", "2Gi", corev1.ClaimPending, "Only bound persistent volume claims can be expanded"},
		{"no", "2Gi", corev1.ClaimBound, "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"},
		{"", "2Gi", corev1.ClaimBound, "only dynamically provisioned pvc"},
	} {
		err := admit(t, p, ask{op: admission.Update, obj: claim(c.class, c.size, c.phase), old: claim(c.class, "1Gi", c.phase), resource: "persistentvolumeclaims"})
		wants(t, c.class+c.size, err, c.want)
	}
}

func TestPodTopologyLabels(t *testing.T) {
	g := NewWithT(t)
	p := podtopologylabels.New(lookups{nodes: map[string]map[string]string{"n": {corev1.LabelTopologyZone: "z", corev1.LabelTopologyRegion: "r", "other": "x"}}})
	b := &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: "n"}}
	g.Expect(admit(t, p, ask{op: admission.Create, obj: b, resource: "pods", sub: "binding"})).To(Succeed())
	g.Expect(b.Labels).To(Equal(map[string]string{corev1.LabelTopologyZone: "z", corev1.LabelTopologyRegion: "r"}))
	b = &corev1.Binding{Target: corev1.ObjectReference{Kind: "Node", Name: "gone"}}
	g.Expect(admit(t, p, ask{op: admission.Create, obj: b, resource: "pods", sub: "binding"})).To(Succeed())
	g.Expect(b.Labels).To(BeEmpty())
}
