package apiserver_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// An informer's objects have structs of their own, but share all parts with
// those of the server's watch cache, so with each other's.
func TestInformersShareTheServersObjects(t *testing.T) {
	g := NewWithT(t)
	s := start(t)
	defer s.Stop()
	path := "/api/v1/namespaces/default/configmaps"
	response, body := s.do(t, http.MethodPost, "/api/v1/namespaces", "secret", `{"metadata":{"name":"default"}}`)
	g.Expect(response.StatusCode).To(Equal(http.StatusCreated), body)
	post := func(name string) {
		response, body := s.do(t, http.MethodPost, path, "secret", `{"metadata":{"name":"`+name+`"},"data":{"k":"v"}}`)
		g.Expect(response.StatusCode).To(Equal(http.StatusCreated), body)
	}
	post("listed")
	source := s.Share(corev1.SchemeGroupVersion.WithKind("ConfigMap"), &corev1.ConfigMap{}, nil)
	// The watch cache learns of what is stored a moment later.
	find := func(name string) (found *corev1.ConfigMap, version string) {
		g.Eventually(func(g Gomega) {
			list, err := source.ListWithContext(t.Context(), metav1.ListOptions{ResourceVersion: "0"})
			g.Expect(err).NotTo(HaveOccurred())
			items := list.(*corev1.ConfigMapList).Items
			i := slices.IndexFunc(items, func(c corev1.ConfigMap) bool { return c.Name == name })
			g.Expect(i).To(BeNumerically(">=", 0), "%s is not in the list", name)
			found, version = &items[i], list.(*corev1.ConfigMapList).ResourceVersion
		}, "10s").Should(Succeed())
		return found, version
	}
	one, _ := find("listed")
	other, version := find("listed")
	one.ManagedFields = nil // as the cache does
	g.Expect(other.ManagedFields).NotTo(BeEmpty())
	g.Expect(part(one)).To(Equal(part(other)))

	w, err := source.WatchWithContext(t.Context(), metav1.ListOptions{ResourceVersion: version})
	g.Expect(err).NotTo(HaveOccurred())
	defer w.Stop()
	post("watched")
	var e watch.Event
	g.Eventually(w.ResultChan(), "10s").Should(Receive(&e))
	g.Expect(e.Type).To(Equal(watch.Added))
	seen := e.Object.(*corev1.ConfigMap)
	g.Expect(seen.Name).To(Equal("watched"))
	stored, _ := find("watched")
	g.Expect(part(seen)).To(Equal(part(stored)))

	response, body = s.do(t, http.MethodDelete, path+"/watched", "secret", "")
	g.Expect(response.StatusCode).To(Equal(http.StatusOK), body)
	g.Eventually(w.ResultChan(), "10s").Should(Receive(&e))
	g.Expect(e.Type).To(Equal(watch.Deleted))
	g.Expect(e.Object.(*corev1.ConfigMap).Name).To(Equal("watched"))
}

// part returns the address in memory of a part of an object.
func part(c *corev1.ConfigMap) uintptr { return reflect.ValueOf(c.Data).Pointer() }

// Kinds that the server does not keep as the wanted type come from the API.
func TestWhatIsNotKeptAsThatTypeIsNotShared(t *testing.T) {
	g := NewWithT(t)
	s := start(t)
	defer s.Stop()
	asked := errors.New("asked")
	api := &cache.ListWatch{ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) { return nil, asked }}
	for _, source := range []cache.ListerWithContext{
		s.Share(corev1.SchemeGroupVersion.WithKind("ConfigMap"), &metav1.PartialObjectMetadata{}, api),
		s.Share(corev1.SchemeGroupVersion.WithKind("Nothing"), &corev1.ConfigMap{}, api),
	} {
		_, err := source.ListWithContext(t.Context(), metav1.ListOptions{})
		g.Expect(err).To(MatchError(asked))
	}
}
