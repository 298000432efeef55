package admission_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"

	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	k8sadmission "k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/coracle-k8s/coracle/apis/quota"
	"github.com/coracle-k8s/coracle/apiserver/admission"
)

// store is a small world to run the chain in.
type store struct {
	mu      sync.Mutex
	version int
	objects map[string]runtime.Object // by resource/namespace/name
	watches map[string]*watch.FakeWatcher
	listed  map[string]int
}

func newStore() *store {
	s := &store{version: 1, objects: map[string]runtime.Object{}, watches: map[string]*watch.FakeWatcher{}, listed: map[string]int{}}
	for _, r := range []string{"namespaces", "limitranges", "serviceaccounts", "resourcequotas"} {
		s.watches[r] = watch.NewFakeWithChanSize(100, false)
	}
	return s
}

func (s *store) watch(gr schema.GroupResource) cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.listed[gr.Resource]++
			m := metav1.ListMeta{ResourceVersion: "1"}
			return map[string]runtime.Object{
				"namespaces": &corev1.NamespaceList{ListMeta: m}, "limitranges": &corev1.LimitRangeList{ListMeta: m},
				"serviceaccounts": &corev1.ServiceAccountList{ListMeta: m}, "resourcequotas": &corev1.ResourceQuotaList{ListMeta: m},
			}[gr.Resource], nil
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) { return s.watches[gr.Resource], nil },
	}
}

func (s *store) put(resource string, o interface {
	runtime.Object
	metav1.Object
}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	o.SetResourceVersion(strconv.Itoa(s.version))
	s.objects[resource+"/"+o.GetNamespace()+"/"+o.GetName()] = o
	if w := s.watches[resource]; w != nil {
		w.Modify(o)
	}
}

func (s *store) get(_ context.Context, gr schema.GroupResource, ns, name string) (runtime.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.objects[gr.Resource+"/"+ns+"/"+name]; ok {
		return o, nil
	}
	return nil, apierrors.NewNotFound(gr, name)
}

func (s *store) charge(_ context.Context, q *corev1.ResourceQuota) (*corev1.ResourceQuota, error) {
	stored := q.DeepCopy()
	s.put("resourcequotas", stored)
	return stored, nil
}

func TestChain(t *testing.T) {
	defer goleak.VerifyNone(t)
	g := NewWithT(t)
	s := newStore()
	none := func(schema.GroupVersionResource, string) ([]runtime.Object, error) { return nil, nil }
	chain, err := admission.Chain(admission.Deps{
		Live: admission.NewLive(admission.LiveConfig{
			Watch: s.watch, Get: s.get, UpdateQuotaStatus: s.charge,
			ListPods: func(context.Context, string) ([]*corev1.Pod, error) { return nil, nil },
		}),
		Clock: clock.RealClock{}, Quota: quota.NewConfiguration(none, clock.RealClock{}),
	})
	g.Expect(err).NotTo(HaveOccurred())
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- chain.Run(ctx) }()
	g.Expect(s.listed).To(BeEmpty(), "nothing asked, nothing watched")

	create := func(name string) (*corev1.Pod, error) {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}}
		attrs := ask{op: k8sadmission.Create, obj: pod, resource: "pods", ns: "ns", name: name}.attributes()
		if err := chain.Admit(ctx, attrs, nil); err != nil {
			return nil, err
		}
		return pod, chain.Validate(ctx, attrs, nil)
	}
	_, err = create("early")
	wants(t, "no namespace", err, `namespaces "ns" not found`)

	s.put("namespaces", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}})
	// The pod waits for its namespace's default account.
	made := make(chan error)
	go func() {
		pod, err := create("first")
		if err == nil && pod.Spec.ServiceAccountName != "default" {
			err = fmt.Errorf("account %q", pod.Spec.ServiceAccountName)
		}
		made <- err
	}()
	g.Consistently(made, "50ms").ShouldNot(Receive())
	s.put("serviceaccounts", &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "default"}})
	g.Eventually(made).Should(Receive(BeNil()))

	two := corev1.ResourceList{"pods": list("pods", "2")["pods"]}
	s.put("resourcequotas", &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "two"}, Spec: corev1.ResourceQuotaSpec{Hard: two},
		Status: corev1.ResourceQuotaStatus{Hard: two, Used: list("pods", "0")},
	})
	g.Eventually(func() string {
		_, err := create("another")
		if err == nil {
			return ""
		}
		return err.Error()
	}).Should(ContainSubstring("exceeded quota: two, requested: pods=1, used: pods=2, limited: pods=2"))
	stop()
	g.Expect(<-done).To(Succeed())
	_, err = create("late")
	g.Expect(apierrors.IsServiceUnavailable(err)).To(BeTrue(), "%v", err)
}
