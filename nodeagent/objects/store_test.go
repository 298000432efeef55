package objects

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func podNaming(uid types.UID, configMap, secret string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: string(uid), UID: uid}}
	if configMap != "" {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "c", VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: configMap}}}})
	}
	if secret != "" {
		pod.Spec.Containers = []corev1.Container{{Name: "m", EnvFrom: []corev1.EnvFromSource{{
			SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}}}}}
	}
	return pod
}

type change struct {
	key  Key
	pods []types.UID
}

// countingClient counts the watches that were opened. Unlike a server's, a watch of the fake
// client does not send what changed between the list and the watch.
type countingClient struct {
	client.WithWatch
	opened atomic.Int32
}

func (c *countingClient) Watch(ctx context.Context, list client.ObjectList, opts ...client.ListOption) (watch.Interface, error) {
	w, err := c.WithWatch.Watch(ctx, list, opts...)
	if err == nil {
		c.opened.Add(1)
	}
	return w, err
}

func startStore(t *testing.T, objs ...client.Object) (*Store, *countingClient, chan change) {
	t.Helper()
	c := &countingClient{WithWatch: fake.NewClientBuilder().WithObjects(objs...).
		WithIndex(&corev1.ConfigMap{}, "metadata.name", func(o client.Object) []string { return []string{o.GetName()} }).
		WithIndex(&corev1.Secret{}, "metadata.name", func(o client.Object) []string { return []string{o.GetName()} }).
		Build()}
	s := New(c, logr.Discard())
	changes := make(chan change, 100)
	s.Subscribe(func(k Key, pods []types.UID) { changes <- change{k, pods} })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Start(ctx) }()
	NewWithT(t).Eventually(func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.runCtx != nil
	}).Should(BeTrue())
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		goleak.VerifyNone(t, goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"))
	})
	return s, c, changes
}

func TestStoreFollowsReferencedObjects(t *testing.T) {
	g := NewWithT(t)
	ctx := t.Context()
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a"}, Data: map[string]string{"k": "1"}}
	s, c, changes := startStore(t, cm)
	s.Register(podNaming("p1", "a", "late"))
	s.Register(podNaming("p2", "a", ""))

	got, err := s.ConfigMap(ctx, "ns", "a")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(got.Data).To(HaveKeyWithValue("k", "1"))
	_, err = s.Secret(ctx, "ns", "late")
	g.Expect(apierrors.IsNotFound(err)).To(BeTrue())

	g.Eventually(c.opened.Load).Should(BeEquivalentTo(2), "both objects are watched")
	changed := got.DeepCopy()
	changed.Data["k"] = "2"
	g.Eventually(func() error { return c.Update(ctx, changed) }).Should(Succeed())
	g.Eventually(changes, 5*time.Second).Should(Receive(Equal(change{Key{ConfigMap, "ns", "a"}, []types.UID{"p1", "p2"}})))
	got, err = s.ConfigMap(ctx, "ns", "a")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(got.Data).To(HaveKeyWithValue("k", "2"))

	g.Expect(c.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "late"}})).To(Succeed())
	g.Eventually(changes, 5*time.Second).Should(Receive(Equal(change{Key{Secret, "ns", "late"}, []types.UID{"p1"}})))

	s.Unregister("p1")
	s.mu.Lock()
	g.Expect(s.entries).To(HaveLen(1))
	s.mu.Unlock()
	s.Unregister("p2")
	s.mu.Lock()
	g.Expect(s.entries).To(BeEmpty())
	s.mu.Unlock()
}

func TestStoreDoesNotWatchImmutable(t *testing.T) {
	g := NewWithT(t)
	yes := true
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a"}, Immutable: &yes}
	s, c, changes := startStore(t, cm)
	s.Register(podNaming("p1", "a", ""))
	_, err := s.ConfigMap(t.Context(), "ns", "a")
	g.Expect(err).NotTo(HaveOccurred())
	s.watches.Wait()
	g.Expect(c.Delete(t.Context(), cm)).To(Succeed())
	g.Consistently(changes, 50*time.Millisecond).ShouldNot(Receive())
	_, err = s.ConfigMap(t.Context(), "ns", "a")
	g.Expect(err).NotTo(HaveOccurred())
}

func TestReferences(t *testing.T) {
	g := NewWithT(t)
	pod := podNaming("p", "vol", "envfrom")
	pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "pull"}}
	pod.Spec.InitContainers = []corev1.Container{{Env: []corev1.EnvVar{
		{Name: "A", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "env"}}}},
		{Name: "B", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "env"}}}},
	}}}
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "proj"}}},
		{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "proj"}}},
	}}}})
	want := map[Key]struct{}{}
	for _, k := range []Key{{ConfigMap, "ns", "vol"}, {Secret, "ns", "envfrom"}, {Secret, "ns", "pull"}, {ConfigMap, "ns", "env"},
		{Secret, "ns", "env"}, {ConfigMap, "ns", "proj"}, {Secret, "ns", "proj"}} {
		want[k] = struct{}{}
	}
	g.Expect(References(pod)).To(Equal(want))
}
