//go:build linux

package volumes

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/coracle-k8s/coracle/nodeagent/credentials"
	"github.com/coracle-k8s/coracle/nodeagent/objects"
)

type world struct {
	*GomegaWithT
	m      *Manager
	client client.WithWatch
	cache  *readingCache
	clock  *testclock.FakeClock
	root   string
	tokens atomic.Int64
	// issuing is called with the name of each pod that gets a token, unless nil.
	issuing atomic.Pointer[func(pod string)]
}

// newWorld runs a Manager over a fake API server. Its mounts are real, so it
// needs root.
func newWorld(t *testing.T, objs ...client.Object) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	w := &world{GomegaWithT: NewWithT(t), clock: testclock.NewFakeClock(time.Now()), root: t.TempDir()}
	byName := func(o client.Object) []string { return []string{o.GetName()} }
	w.client = fake.NewClientBuilder().WithObjects(objs...).
		WithIndex(&corev1.ConfigMap{}, "metadata.name", byName).WithIndex(&corev1.Secret{}, "metadata.name", byName).
		WithInterceptorFuncs(interceptor.Funcs{SubResourceCreate: w.issueToken}).Build()
	store := objects.New(w.client, logr.Discard())
	w.cache = &readingCache{reader: w.client}
	creds, err := credentials.New(credentials.Config{NodeName: "node", Cache: w.cache, Live: w.client, Recorder: &record.FakeRecorder{}, Clock: w.clock})
	w.Expect(err).NotTo(HaveOccurred())
	w.m, err = New(Config{RootDir: w.root, Client: w.client, Objects: store, Credentials: creds, Clock: w.clock})
	w.Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 3)
	go func() { done <- store.Start(ctx) }()
	go func() { done <- creds.Start(ctx) }()
	go func() { done <- w.m.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range cap(done) {
			w.Expect(<-done).To(Succeed())
		}
		uids, err := w.m.Mounted()
		w.Expect(err).NotTo(HaveOccurred())
		for _, uid := range uids {
			w.Expect(w.m.Unmount(context.Background(), uid)).To(Succeed())
		}
		points, err := mountsBelow(w.root)
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(points).To(BeEmpty())
	})
	return w
}

func (w *world) issueToken(_ context.Context, _ client.Client, sub string, account, request client.Object, _ ...client.SubResourceCreateOption) error {
	tr := request.(*authv1.TokenRequest)
	if fn := w.issuing.Load(); fn != nil {
		(*fn)(tr.Spec.BoundObjectRef.Name)
	}
	tr.Status.Token = fmt.Sprintf("%s-%s-%s-%d", account.GetName(), sub, tr.Spec.BoundObjectRef.Name, w.tokens.Add(1))
	tr.Status.ExpirationTimestamp = metav1.NewTime(w.clock.Now().Add(time.Duration(*tr.Spec.ExpirationSeconds) * time.Second))
	return nil
}

func (w *world) read(path string) func() string {
	return func() string {
		data, err := os.ReadFile(path)
		if err != nil {
			return err.Error()
		}
		return string(data)
	}
}

func pod(volumes ...corev1.Volume) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "pod", UID: "uid-1", Labels: map[string]string{"a": "1"}},
		Spec:       corev1.PodSpec{ServiceAccountName: "sa", Volumes: volumes, Containers: []corev1.Container{{Name: "main"}}},
	}
}

func ref(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }

func apiAccess() corev1.Volume {
	return corev1.Volume{Name: "api", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: new(int64(1000))}},
		{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: ref("cm"), Items: []corev1.KeyToPath{{Key: "k", Path: "deep/k"}}}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}}}}},
	}}}}
}

func TestContentIsLive(t *testing.T) {
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "cm"}, Data: map[string]string{"k": "v1", "gone": "x"}}
	w := newWorld(t, cm)
	p := pod(apiAccess(), corev1.Volume{Name: "cm", VolumeSource: corev1.VolumeSource{
		ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: ref("cm"), DefaultMode: new(int32(0o440))}}})
	mounted, err := w.m.Mount(t.Context(), p)
	w.Expect(err).NotTo(HaveOccurred())
	api, plain := mounted["api"], mounted["cm"]
	w.Expect(api.ReadOnly).To(BeTrue())
	w.Expect(w.read(api.Path + "/token")()).To(Equal("sa-token-pod-1"))
	w.Expect(w.read(api.Path + "/deep/k")()).To(Equal("v1"))
	w.Expect(w.read(api.Path + "/labels")()).To(Equal(`a="1"`))
	info, err := os.Stat(plain.Path + "/k")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o440)))
	data, err := os.Readlink(plain.Path + "/k")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(data).To(Equal("..data/k"))

	// A change of the object arrives by its watch.
	w.Expect(w.client.Get(t.Context(), client.ObjectKeyFromObject(cm), cm)).To(Succeed())
	cm.Data = map[string]string{"k": "v2", "new": "y"}
	w.Expect(w.client.Update(t.Context(), cm)).To(Succeed())
	w.Eventually(w.read(plain.Path+"/k"), 5*time.Second).Should(Equal("v2"))
	w.Eventually(w.read(api.Path+"/deep/k"), 5*time.Second).Should(Equal("v2"))
	w.Expect(w.read(plain.Path + "/new")()).To(Equal("y"))
	w.Eventually(func() bool { _, err := os.Lstat(plain.Path + "/gone"); return os.IsNotExist(err) }).Should(BeTrue())

	// A change of the pod's labels.
	p = p.DeepCopy()
	p.Labels["a"] = "2"
	w.m.Update(p)
	w.Eventually(w.read(api.Path+"/labels"), 5*time.Second).Should(Equal(`a="2"`))

	// A token is renewed at 80 % of its life, not before.
	w.Expect(w.tokens.Load()).To(BeEquivalentTo(1))
	w.clock.Step(799 * time.Second)
	w.Consistently(w.tokens.Load, 50*time.Millisecond).Should(BeEquivalentTo(1))
	w.clock.Step(2 * time.Second)
	w.Eventually(w.read(api.Path+"/token"), 5*time.Second).Should(Equal("sa-token-pod-2"))
}

func TestMountWaitsForMissing(t *testing.T) {
	w := newWorld(t)
	retries := make(chan types.UID, 1000)
	w.m.OnRetry(func(uid types.UID) { retries <- uid })
	p := pod(corev1.Volume{Name: "s", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "late"}}},
		corev1.Volume{Name: "o", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: ref("never"), Optional: new(true)}}})
	_, err := w.m.Mount(t.Context(), p)
	w.Expect(err).To(MatchError(`MountVolume.SetUp failed for volume "s" : secret "late" not found`))
	late := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "late"}, Data: map[string][]byte{"a": []byte("b")}}
	w.Expect(w.client.Create(t.Context(), late)).To(Succeed())
	w.Eventually(func() int {
		// The fake server forgets what happens between a list and its watch.
		late.Labels = map[string]string{"n": late.ResourceVersion}
		w.Expect(w.client.Update(t.Context(), late)).To(Succeed())
		return len(retries)
	}, 5*time.Second).ShouldNot(BeZero())
	w.Expect(<-retries).To(BeEquivalentTo("uid-1"))
	mounted, err := w.m.Mount(t.Context(), p)
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(w.read(mounted["s"].Path + "/a")()).To(Equal("b"))
	var st unix.Statfs_t
	w.Expect(unix.Statfs(mounted["s"].Path, &st)).To(Succeed())
	w.Expect(st.Type).To(BeEquivalentTo(unix.TMPFS_MAGIC))
}

func TestEmptyDirs(t *testing.T) {
	w := newWorld(t)
	size := resource.MustParse("4Mi")
	p := pod(corev1.Volume{Name: "disk", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		corev1.Volume{Name: "mem", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: &size}}})
	p.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: new(int64(2345))}
	mounted, err := w.m.Mount(t.Context(), p)
	w.Expect(err).NotTo(HaveOccurred())
	var st unix.Statfs_t
	w.Expect(unix.Statfs(mounted["mem"].Path, &st)).To(Succeed())
	w.Expect(st.Blocks * uint64(st.Bsize)).To(BeEquivalentTo(4 << 20))
	for _, name := range []string{"disk", "mem"} {
		info, err := os.Stat(mounted[name].Path)
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(info.Sys().(*syscall.Stat_t).Gid).To(BeEquivalentTo(2345))
		w.Expect(info.Mode() & os.ModeSetgid).NotTo(BeZero())
		w.Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o777)))
	}
	w.Expect(os.WriteFile(mounted["disk"].Path+"/f", []byte("kept"), 0o600)).To(Succeed())
	again, err := w.m.Mount(t.Context(), p)
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(again).To(Equal(mounted))
	w.Expect(w.read(mounted["disk"].Path + "/f")()).To(Equal("kept"))

	// A later agent finds and cleans what this one left.
	later, err := New(Config{RootDir: w.root, Client: w.client, Objects: objects.New(w.client, logr.Discard())})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(later.Mounted()).To(ConsistOf(p.UID))
	w.Expect(later.Unmount(t.Context(), p.UID)).To(Succeed())
	w.Expect(later.Unmount(t.Context(), p.UID)).To(Succeed())
	w.Expect(later.Mounted()).To(BeEmpty())
	_, err = os.Stat(filepath.Join(w.root, "pods", string(p.UID)))
	w.Expect(os.IsNotExist(err)).To(BeTrue())
}

// A pod whose volumes hang keeps no other from new tokens.
func TestAHungVolumeKeepsNoOtherWaiting(t *testing.T) {
	w := newWorld(t)
	token := apiAccess()
	token.Projected.Sources = token.Projected.Sources[:1]
	hung, other := pod(token), pod(token)
	other.Name, other.UID = "other", "uid-2"
	_, err := w.m.Mount(t.Context(), hung)
	w.Expect(err).NotTo(HaveOccurred())
	mounted, err := w.m.Mount(t.Context(), other)
	w.Expect(err).NotTo(HaveOccurred())
	hanging, release := make(chan struct{}), make(chan struct{})
	block := func(pod string) {
		if pod == "pod" {
			close(hanging)
			<-release
		}
	}
	w.issuing.Store(&block)
	defer close(release)
	w.clock.Step(801 * time.Second)
	<-hanging
	w.Eventually(w.read(mounted["api"].Path+"/token"), 5*time.Second).Should(MatchRegexp("sa-token-other-[34]"))
}

func TestTokenOwnership(t *testing.T) {
	w := newWorld(t)
	v := apiAccess()
	v.Projected.Sources = v.Projected.Sources[:1]
	p := pod(v)
	p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(1234)), FSGroup: new(int64(99))}
	mounted, err := w.m.Mount(t.Context(), p)
	w.Expect(err).NotTo(HaveOccurred())
	info, err := os.Stat(mounted["api"].Path + "/token")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o640)))
	st := info.Sys().(*syscall.Stat_t)
	w.Expect([]uint32{st.Uid, st.Gid}).To(Equal([]uint32{1234, 99}))
}

func TestSubPaths(t *testing.T) {
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "cm"}, Data: map[string]string{"k": "v1"}}
	w := newWorld(t, cm)
	p := pod(corev1.Volume{Name: "d", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		corev1.Volume{Name: "cm", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: ref("cm")}}})
	mounted, err := w.m.Mount(t.Context(), p)
	w.Expect(err).NotTo(HaveOccurred())
	dir := mounted["d"]

	made, err := w.m.SubPath(t.Context(), p, "main", 0, dir, "a/b")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(os.WriteFile(made+"/f", []byte("x"), 0o600)).To(Succeed())
	w.Expect(w.read(dir.Path + "/a/b/f")()).To(Equal("x"))
	again, err := w.m.SubPath(t.Context(), p, "main", 0, dir, "a/b")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(again).To(Equal(made))

	one, err := w.m.SubPath(t.Context(), p, "main", 1, mounted["cm"], "k")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(w.read(one)()).To(Equal("v1"))
	// The old content stays bound until the container starts again.
	w.Expect(w.client.Get(t.Context(), client.ObjectKeyFromObject(cm), cm)).To(Succeed())
	cm.Data["k"] = "v2"
	w.Eventually(func() string {
		w.Expect(w.client.Update(t.Context(), cm)).To(Succeed())
		return w.read(mounted["cm"].Path + "/k")()
	}, 5*time.Second).Should(Equal("v2"))
	w.Expect(w.read(one)()).To(Equal("v1"))
	one, err = w.m.SubPath(t.Context(), p, "main", 1, mounted["cm"], "k")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(w.read(one)()).To(Equal("v2"))

	outside := t.TempDir()
	for name, target := range map[string]string{"abs": outside, "rel": "../../../../../../../.."} {
		w.Expect(os.Symlink(target, filepath.Join(dir.Path, name))).To(Succeed())
		_, err = w.m.SubPath(t.Context(), p, "main", 2, dir, name)
		w.Expect(err).To(HaveOccurred())
		_, err = w.m.SubPath(t.Context(), p, "main", 2, dir, name+"/new")
		w.Expect(err).To(HaveOccurred())
	}
	_, err = w.m.SubPath(t.Context(), p, "main", 2, dir, "../x")
	w.Expect(err).To(HaveOccurred())
	w.Expect(os.ReadDir(outside)).To(BeEmpty())
	w.Expect(w.m.Unmount(t.Context(), p.UID)).To(Succeed())
}

func TestClaims(t *testing.T) {
	local := t.TempDir()
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c", UID: "claim"},
		Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv"}}
	pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv", Annotations: map[string]string{gidAnnotation: "77"}},
		Spec: corev1.PersistentVolumeSpec{ClaimRef: &corev1.ObjectReference{UID: "claim"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: local}}}}
	w := newWorld(t, claim, pv)
	p := pod(corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}})
	_, err := w.m.Mount(t.Context(), p)
	w.Expect(err).To(MatchError(errUnbound))
	w.Expect(err).To(MatchError("Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], failed to process volumes=[v]: error processing PVC ns/c: PVC is not bound"))
	claim.Status.Phase = corev1.ClaimBound
	w.Expect(w.client.Status().Update(t.Context(), claim)).To(Succeed())
	mounted, err := w.m.Mount(t.Context(), p)
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(mounted["v"].Path).To(Equal(local))
	w.Expect(mounted["v"].SupplementalGroups).To(Equal([]int64{77}))
	_, err = w.m.Mount(t.Context(), pod(corev1.Volume{Name: "n", VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{}}}))
	w.Expect(err).To(MatchError(ErrUnsupported))
}
