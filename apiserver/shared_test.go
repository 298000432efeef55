package apiserver_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
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
	find := func(name string) (*corev1.ConfigMap, string) {
		list, err := source.ListWithContext(t.Context(), metav1.ListOptions{ResourceVersion: "0"})
		g.Expect(err).NotTo(HaveOccurred())
		for i, c := range list.(*corev1.ConfigMapList).Items {
			if c.Name == name {
				return &list.(*corev1.ConfigMapList).Items[i], list.(*corev1.ConfigMapList).ResourceVersion
			}
		}
		t.Fatalf("%s is not in the list", name)
		return nil, ""
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
	g.Eventually(w.ResultChan()).Should(Receive(&e))
	g.Expect(e.Type).To(Equal(watch.Added))
	seen := e.Object.(*corev1.ConfigMap)
	g.Expect(seen.Name).To(Equal("watched"))
	stored, _ := find("watched")
	g.Expect(part(seen)).To(Equal(part(stored)))

	response, body = s.do(t, http.MethodDelete, path+"/watched", "secret", "")
	g.Expect(response.StatusCode).To(Equal(http.StatusOK), body)
	g.Eventually(w.ResultChan()).Should(Receive(&e))
	g.Expect(e.Type).To(Equal(watch.Deleted))
	g.Expect(e.Object.(*corev1.ConfigMap).Name).To(Equal("watched"))
}

// part is where a part of an object is in memory.
func part(c *corev1.ConfigMap) uintptr { return reflect.ValueOf(c.Data).Pointer() }

// What the server does not keep as the wanted type comes from the API.
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
