package mirror_test

import (
	"context"
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/coracle-k8s/coracle/apiserver/auth/mirror"
)

func pod(ns, name, node string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, ResourceVersion: "2"}, Spec: corev1.PodSpec{NodeName: node}}
}

func TestMirror(t *testing.T) {
	defer goleak.VerifyNone(t)
	g := NewWithT(t)
	watcher := watch.NewFake()
	lists := 0
	lw := &cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			lists++
			return &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []corev1.Pod{*pod("a", "one", "n1")}}, nil
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) { return watcher, nil },
	}
	m := mirror.New(lw, map[string]mirror.Index[*corev1.Pod]{"node": func(p *corev1.Pod) []string { return []string{p.Spec.NodeName} }})

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	g.Expect(m.Synced()).To(BeFalse(), "no request came yet")

	g.Expect(m.Sync(ctx)).To(Succeed())
	g.Expect(lists).To(Equal(1))
	g.Expect(m.ByIndex("node", "n1")).To(HaveLen(1))

	go func() {
		watcher.Add(pod("a", "two", "n1"))
		watcher.Modify(pod("a", "one", "n2"))
		watcher.Delete(pod("a", "two", "n1"))
		watcher.Add(pod("b", "three", "n3"))
	}()
	g.Expect(m.Wait(ctx, func() bool { _, ok := m.Get("b", "three"); return ok })).To(Succeed())
	g.Expect(m.ByIndex("node", "n1")).To(BeEmpty())
	g.Expect(m.ByIndex("node", "n2")).To(ConsistOf(HaveField("Name", "one")))
	g.Expect(m.List()).To(HaveLen(2))

	short, stop := context.WithTimeout(ctx, time.Millisecond)
	defer stop()
	g.Expect(errors.Is(m.Wait(short, func() bool { return false }), context.DeadlineExceeded)).To(BeTrue())

	cancel()
	g.Eventually(done).Should(Receive(BeNil()))
}
