package cluster_test

import (
	"context"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/test/env"
)

// stopLimit is far more than a stop takes on a busy machine.
const stopLimit = 20 * time.Second

// A list of a resource version that is yet to come waits in the watch cache for
// it, whatever becomes of the request. Such lists are under way all the time
// here, and must hold up neither the end of their storage nor that of the server.
func TestStopWithReadsThatWait(t *testing.T) {
	g := NewWithT(t)
	e := env.Start(t)
	tls, err := client.New(e.TLSConfig(t), client.Options{Scheme: e.Cluster.Scheme()})
	g.Expect(err).NotTo(HaveOccurred())
	wreck := schema.GroupVersionKind{Group: "stop.test", Version: "v1", Kind: "Wreck"}
	g.Expect(e.Client.Create(t.Context(), definition(wreck))).To(Succeed())
	wrecks := func() client.ObjectList {
		l := &unstructured.UnstructuredList{}
		l.SetGroupVersionKind(wreck.GroupVersion().WithKind("WreckList"))
		return l
	}
	g.Eventually(e.Client.List).WithArguments(t.Context(), wrecks()).WithTimeout(stopLimit).Should(Succeed(), "the kind is served")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var readers sync.WaitGroup
	later := &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: "1000000", ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}}
	begun := make(chan struct{}, 100)
	for _, from := range []client.Client{e.Client, tls} {
		for _, list := range []func() client.ObjectList{wrecks, func() client.ObjectList { return &corev1.ConfigMapList{} }} {
			readers.Go(func() {
				for ctx.Err() == nil {
					select {
					case begun <- struct{}{}:
					default:
					}
					_ = from.List(ctx, list(), later) // no such version comes
				}
			})
		}
	}
	for range 4 {
		<-begun
	}

	stopped := make(chan struct{})
	time.AfterFunc(100*time.Millisecond, func() { // they are at the cache by then, or it is no test
		e.Cluster.Stop()
		close(stopped)
	})
	g.Eventually(stopped).WithTimeout(stopLimit).Should(BeClosed(), "the cluster has stopped")
	cancel()
	readers.Wait()
}

func definition(kind schema.GroupVersionKind) *unstructured.Unstructured {
	anything := map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "wrecks." + kind.Group},
		"spec": map[string]any{
			"group": kind.Group, "scope": "Namespaced", "names": map[string]any{"plural": "wrecks", "kind": kind.Kind},
			"versions": []any{map[string]any{"name": kind.Version, "served": true, "storage": true, "schema": anything}},
		},
	}}
}
