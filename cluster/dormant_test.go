package cluster

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster/informers"
)

func startPlain(t *testing.T, dir string) *Cluster {
	t.Helper()
	none := int32(0)
	c, err := Start(t.Context(), &v1alpha1.Cluster{DataDir: dir, Listen: "127.0.0.1:0", Nodes: &none})
	if err != nil {
		t.Fatal(err)
	}
	if !c.Cache().WaitForCacheSync(t.Context()) {
		t.Fatal("the cache did not start")
	}
	return c
}

// asleep reports whether the cluster has no informer of the object's kind.
func asleep(t *testing.T, c *Cluster, obj client.Object) bool {
	t.Helper()
	sleeps, err := c.Cache().(*informers.Cache).Asleep(t.Context(), obj)
	if err != nil {
		t.Fatal(err)
	}
	return sleeps
}

// told returns a handler that sends the names of new objects.
func told(names chan<- string) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{AddFunc: func(o any) { names <- o.(client.Object).GetName() }}
}

// A kind costs an informer from its first object on, whichever part asked for
// it before, and after a restart at once.
func TestKindsSleepUntilTheirFirstObject(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	g := NewWithT(t)
	dir := t.TempDir()
	c := startPlain(t, dir)
	defer func() { c.Stop() }()
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "first"}, Spec: batchv1.JobSpec{
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}}}},
	}}
	g.Expect(asleep(t, c, &batchv1.Job{})).To(BeTrue(), "jobs")
	g.Expect(asleep(t, c, &policyv1.PodDisruptionBudget{})).To(BeTrue(), "budgets")
	g.Expect(asleep(t, c, &corev1.Namespace{})).To(BeFalse(), "namespaces")

	names := make(chan string, 9)
	informer, err := c.Cache().GetInformer(t.Context(), &batchv1.Job{})
	g.Expect(err).NotTo(HaveOccurred())
	handle, err := informer.AddEventHandler(told(names))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(handle.HasSynced() && toolscache.IsDone(handle.HasSyncedChecker()) && informer.HasSynced()).To(BeTrue())
	removed, err := informer.AddEventHandler(told(names))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(informer.RemoveEventHandler(removed)).To(Succeed())

	g.Expect(apierrors.IsNotFound(c.Client().Get(t.Context(), client.ObjectKeyFromObject(job), &batchv1.Job{}))).To(BeTrue())
	list := &batchv1.JobList{Items: []batchv1.Job{*job}}
	g.Expect(c.Client().List(t.Context(), list)).To(Succeed())
	g.Expect(list.Items).To(BeEmpty())
	g.Expect(asleep(t, c, &batchv1.Job{})).To(BeTrue(), "jobs, after reads")

	g.Expect(c.Client().Create(t.Context(), job)).To(Succeed())
	g.Expect(asleep(t, c, &batchv1.Job{})).To(BeFalse())
	g.Eventually(names, 10*time.Second).Should(Receive(Equal("first")))
	g.Consistently(names, 50*time.Millisecond).ShouldNot(Receive())
	g.Expect(informer.RemoveEventHandler(handle)).To(Succeed())
	g.Eventually(func(g Gomega) { // the controller got it, and what it made is found by its index
		var pods corev1.PodList
		g.Expect(c.Client().List(t.Context(), &pods, client.InNamespace("default"))).To(Succeed())
		g.Expect(pods.Items).To(HaveLen(1))
	}, 10*time.Second).Should(Succeed())

	c.Stop()
	c = startPlain(t, dir)
	g.Expect(asleep(t, c, &batchv1.Job{})).To(BeFalse(), "jobs, after a restart")
	g.Expect(asleep(t, c, &policyv1.PodDisruptionBudget{})).To(BeTrue(), "budgets, after a restart")
	g.Expect(c.Client().Get(t.Context(), client.ObjectKeyFromObject(job), &batchv1.Job{})).To(Succeed())
}

// Users of the cache after the first object, and those that remove what they
// registered, get what any cache gives them.
func TestDormantInformerAfterwards(t *testing.T) {
	g := NewWithT(t)
	c := startPlain(t, t.TempDir())
	defer c.Stop()
	kind := func() client.Object {
		return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"}}
	}
	byName := func(o client.Object) []string { return []string{o.GetName()} }
	g.Expect(c.Cache().IndexField(t.Context(), &policyv1.PodDisruptionBudget{}, "name", byName)).To(Succeed())
	_, err := c.Cache().GetInformer(t.Context(), kind())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(c.Cache().RemoveInformer(t.Context(), kind())).To(Succeed())
	informer, err := c.Cache().GetInformer(t.Context(), kind(), cache.BlockUntilSynced(false))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(informer.AddIndexers(toolscache.Indexers{"x": func(any) ([]string, error) { return nil, nil }})).To(Succeed())

	budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "first"}}
	g.Expect(c.Client().Create(t.Context(), budget)).To(Succeed())
	names := make(chan string, 9)
	handle, err := informer.AddEventHandlerWithResyncPeriod(told(names), 0)
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(names, 10*time.Second).Should(Receive(Equal("first")))
	g.Expect(informer.RemoveEventHandler(handle)).To(Succeed())
	g.Expect(informer.IsStopped()).To(BeFalse())
	g.Eventually(func(ctx context.Context) ([]policyv1.PodDisruptionBudget, error) {
		var list policyv1.PodDisruptionBudgetList
		err := c.Client().List(ctx, &list, client.MatchingFields{"name": "first"})
		return list.Items, err
	}, 10*time.Second).WithContext(t.Context()).Should(HaveLen(1))
}
