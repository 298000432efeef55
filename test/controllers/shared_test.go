package controllers

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// TestServersLearnOfDefinitions: a kind that is defined through one server is
// served by another one that runs already, and was never asked for definitions.
func TestServersLearnOfDefinitions(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(time.Minute)
	s := newSeveral(t, 15*time.Second, 10*time.Second, time.Second)
	etcd := startEtcd(t)
	a, b := s.start(etcd, 0), s.start(etcd, 0)
	first, err := dynamic.NewForConfig(a.Config)
	g.Expect(err).NotTo(HaveOccurred())
	second, err := dynamic.NewForConfig(b.Config)
	g.Expect(err).NotTo(HaveOccurred())
	definition := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "ships.learn.test"},
		"spec": map[string]any{
			"group": "learn.test", "scope": "Cluster", "names": map[string]any{"plural": "ships", "kind": "Ship"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{
				"openAPIV3Schema": map[string]any{"type": "object"}}}},
		},
	}}
	crds := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	_, err = first.Resource(crds).Create(t.Context(), definition, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	for _, server := range []dynamic.Interface{first, second} {
		g.Eventually(func() error {
			_, err := server.Resource(schema.GroupVersionResource{Group: "learn.test", Version: "v1", Resource: "ships"}).List(t.Context(), metav1.ListOptions{})
			return err
		}).Should(Succeed())
	}
}
