package controllers

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestCustomEndpointsAreMirrored(t *testing.T) {
	m := start(t, 0)
	meta := metav1.ObjectMeta{Namespace: "default", Name: "db"}
	ports := []corev1.EndpointPort{{Name: "p", Port: 80}}
	m.Expect(m.Client.Create(t.Context(), &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "p", Port: 80}}}})).To(Succeed())
	e := &corev1.Endpoints{ObjectMeta: meta, Subsets: []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: "10.1.2.3"}}, Ports: ports}}}
	m.Expect(m.Client.Create(t.Context(), e)).To(Succeed())
	mirrored := func(service string) func() []string {
		return func() (out []string) {
			var list discoveryv1.EndpointSliceList
			m.Expect(m.Client.List(t.Context(), &list, client.MatchingLabels{
				discoveryv1.LabelServiceName: service, discoveryv1.LabelManagedBy: "endpointslicemirroring-controller.k8s.io",
			})).To(Succeed())
			for _, s := range list.Items {
				for _, e := range s.Endpoints {
					out = append(out, e.Addresses...)
				}
			}
			return out
		}
	}
	m.Eventually(mirrored("db")).Should(Equal([]string{"10.1.2.3"}))
	edit(m, e, func(e *corev1.Endpoints) { e.Subsets[0].Addresses[0].IP = "10.1.2.4" })
	m.Eventually(mirrored("db")).Should(Equal([]string{"10.1.2.4"}))
	m.Expect(m.Client.Delete(t.Context(), e)).To(Succeed())
	m.Eventually(mirrored("db")).Should(BeEmpty())
	m.Expect(mirrored("kubernetes")()).To(BeEmpty(), "the server's own endpoints have slices of their own")

	e = &corev1.Endpoints{ObjectMeta: meta, Subsets: e.Subsets}
	m.Expect(m.Client.Create(t.Context(), e)).To(Succeed())
	m.Expect(m.Client.Delete(t.Context(), &corev1.Service{ObjectMeta: meta})).To(Succeed())
	m.Eventually(func() error { return m.Client.Get(t.Context(), client.ObjectKeyFromObject(e), e) }).Should(MatchError(apierrors.IsNotFound, "IsNotFound"), "Endpoints of a deleted Service")
}
