package localpath

import (
	"context"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	volumes "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/recorders"
)

// host is the directories by path; the node far is another process's.
type host map[string]string

func (h host) Make(node, path string) error { h[path] = node; return nil }

func (h host) Remove(node, path string) (bool, error) {
	delete(h, path)
	return node != "far", nil
}

func TestVolumesComeAndGo(t *testing.T) {
	for _, node := range []string{"near", "far"} {
		g, ctx := NewWithT(t), context.Background()
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "c", Namespace: "default", UID: "u"}, Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To(Class), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}}}
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default"}, Spec: corev1.PodSpec{NodeName: node, Volumes: []corev1.Volume{
			{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}}}}}
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node, Labels: map[string]string{corev1.LabelHostname: node + ".example"}}}
		c := fake.NewClientBuilder().WithIndex(&corev1.Pod{}, index.PodVolumeClaim, index.ByVolumeClaim).WithScheme(apis.NewClientScheme()).WithObjects(claim, n).WithStatusSubresource(&corev1.PersistentVolume{}).Build()
		dirs := host{}
		r := New(controllers.Deps{Client: c, Recorder: recorders.Always(record.NewFakeRecorder(10)), Clock: clock.RealClock{}}, Config{Host: dirs, Dir: "/data/local-path"})
		g.Expect(r.makeClass(ctx)).To(Succeed())
		run := func(namespace, name string) {
			_, err := r.Reconcile(ctx, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}})
			g.Expect(err).NotTo(HaveOccurred())
		}
		read := func() { g.Expect(c.Get(ctx, client.ObjectKeyFromObject(claim), claim)).To(Succeed()) }

		run("default", "c")
		read()
		g.Expect(claim.Annotations).NotTo(HaveKey(volumes.AnnSelectedNode), "no pod uses it")
		g.Expect(c.Create(ctx, pod)).To(Succeed())
		run("default", "c")
		read()
		g.Expect(claim.Annotations).To(HaveKeyWithValue(volumes.AnnSelectedNode, node))
		run("default", "c")
		g.Expect(dirs).To(BeEmpty(), "the binder did not ask for it")
		claim.Annotations[volumes.AnnStorageProvisioner] = Provisioner
		g.Expect(c.Update(ctx, claim)).To(Succeed())
		run("default", "c")
		run("default", "c")

		var pv corev1.PersistentVolume
		g.Expect(c.Get(ctx, client.ObjectKey{Name: "pvc-u"}, &pv)).To(Succeed())
		g.Expect(pv.Spec.HostPath.Path).To(Equal("/data/local-path/pvc-u_default_c"))
		g.Expect(dirs).To(HaveKeyWithValue(pv.Spec.HostPath.Path, node))
		g.Expect(volumes.CheckNodeAffinity(&pv, n.Labels)).To(Succeed())
		g.Expect(volumes.IsVolumeBoundToClaim(&pv, claim)).To(BeTrue())

		run("", "pvc-u")
		g.Expect(c.Get(ctx, client.ObjectKey{Name: "pvc-u"}, &pv)).To(Succeed())
		pv.Status.Phase = corev1.VolumeReleased
		g.Expect(c.Status().Update(ctx, &pv)).To(Succeed())
		run("", "pvc-u")
		err := c.Get(ctx, client.ObjectKey{Name: "pvc-u"}, &pv)
		if node == "near" {
			g.Expect(apierrors.IsNotFound(err)).To(BeTrue())
			g.Expect(dirs).To(BeEmpty())
			continue
		}
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(pv.Status.Phase).To(Equal(corev1.VolumeFailed))
		g.Expect(pv.Status.Message).To(ContainSubstring("on node far"))
	}
}

// removed returns a volume that a provisioner made below dir, after its claim's end.
func removed(dir, node string) *corev1.PersistentVolume {
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "c", UID: "u"}}
	pv := volume(claim, defaultClass(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, dir)
	pv.UID, pv.Status.Phase = "v", corev1.VolumeReleased
	return pv
}

// A volume made by a server with another data directory goes as any other;
// nothing goes that no provisioner would have made.
func TestReleasedOfOthers(t *testing.T) {
	for name, change := range map[string]func(*corev1.PersistentVolume){
		"as it was made":    func(*corev1.PersistentVolume) {},
		"failed before":     func(pv *corev1.PersistentVolume) { pv.Status.Phase = corev1.VolumeFailed },
		"not: bound":        func(pv *corev1.PersistentVolume) { pv.Status.Phase = corev1.VolumeBound },
		"not: going":        func(pv *corev1.PersistentVolume) { pv.DeletionTimestamp = &metav1.Time{} },
		"not: another path": func(pv *corev1.PersistentVolume) { pv.Spec.HostPath.Path = "/etc" },
		"not: beside":       func(pv *corev1.PersistentVolume) { pv.Spec.HostPath.Path = "/other/pvc-u_default_c" },
		"not: above":        func(pv *corev1.PersistentVolume) { pv.Spec.HostPath.Path = "/theirs/local-path/" },
		"not: below":        func(pv *corev1.PersistentVolume) { pv.Spec.HostPath.Path += "/x" },
		"not: another's":    func(pv *corev1.PersistentVolume) { pv.Spec.ClaimRef.Name = "d" },
		"not: to be kept": func(pv *corev1.PersistentVolume) {
			pv.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
		},
		"not: no provisioner's": func(pv *corev1.PersistentVolume) {
			delete(pv.Annotations, volumes.AnnDynamicallyProvisioned)
		},
	} {
		pv := removed("/theirs/local-path", "near")
		change(pv)
		if got, want := released(pv), !strings.HasPrefix(name, "not: "); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Of several servers the one with the node removes the volume. The leader
// leaves that to it, but marks a volume of an agent.
func TestVolumesOfOtherServersNodes(t *testing.T) {
	g := NewWithT(t)
	request := reconcile.Request{NamespacedName: types.NamespacedName{Name: "pvc-u"}}
	for port, phase := range map[int32]corev1.PersistentVolumePhase{0: corev1.VolumeReleased, 10250: corev1.VolumeFailed} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "far"}}
		node.Status.DaemonEndpoints.KubeletEndpoint.Port = port
		c := fake.NewClientBuilder().WithScheme(apis.NewClientScheme()).WithObjects(removed("/data/local-path", "far"), node).WithStatusSubresource(&corev1.PersistentVolume{}).Build()
		leader := New(controllers.Deps{Client: c, Recorder: recorders.Always(record.NewFakeRecorder(10)), Clock: clock.RealClock{}}, Config{Host: host{}, Dir: "/data/local-path", Removers: true})
		_, err := leader.Reconcile(t.Context(), request)
		g.Expect(err).NotTo(HaveOccurred())
		var pv corev1.PersistentVolume
		g.Expect(c.Get(t.Context(), request.NamespacedName, &pv)).To(Succeed())
		g.Expect(pv.Status.Phase).To(Equal(phase), "port %d", port)

		_, err = NewRemover(controllers.Deps{Client: c}, host{}).Reconcile(t.Context(), request)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(c.Get(t.Context(), request.NamespacedName, &pv)).To(Succeed(), "it is out of reach there")
		_, err = NewRemover(controllers.Deps{Client: c}, near{}).Reconcile(t.Context(), request)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(apierrors.IsNotFound(c.Get(t.Context(), request.NamespacedName, &pv))).To(BeTrue())
	}
}

// near reaches every node.
type near struct{}

func (near) Make(string, string) error           { return nil }
func (near) Remove(string, string) (bool, error) { return true, nil }

func TestRefusal(t *testing.T) {
	for want, spec := range map[string]corev1.PersistentVolumeClaimSpec{
		"":                                {},
		"a directory is no block device":  {VolumeMode: ptr.To(corev1.PersistentVolumeBlock)},
		"claim Selector is not supported": {Selector: &metav1.LabelSelector{}},
		"a directory cannot be made of another volume": {DataSource: &corev1.TypedLocalObjectReference{}},
	} {
		if got := refusal(&corev1.PersistentVolumeClaim{Spec: spec}); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A claim may be there before its class is.
func TestClassWakesItsClaims(t *testing.T) {
	claim := func(name, class string) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class}}
	}
	g := NewWithT(t)
	c := fake.NewClientBuilder().WithScheme(apis.NewClientScheme()).WithObjects(claim("mine", "late"), claim("other", "else")).Build()
	r := New(controllers.Deps{Client: c, Recorder: recorders.Always(record.NewFakeRecorder(1))}, Config{})
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "late"}, Provisioner: Provisioner}
	g.Expect(r.claimsOfClass(t.Context(), class)).To(Equal([]reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: "default", Name: "mine"}}}))
	class.Provisioner = "example.com/else"
	g.Expect(r.claimsOfClass(t.Context(), class)).To(BeEmpty())
}
