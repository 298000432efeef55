package clustertrustbundle

import (
	"context"
	"testing"

	. "github.com/onsi/gomega"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/controllers"
)

func bundle(name, signer, pem string) *certificatesv1.ClusterTrustBundle {
	return &certificatesv1.ClusterTrustBundle{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: certificatesv1.ClusterTrustBundleSpec{SignerName: signer, TrustBundle: pem}}
}

func TestPublisher(t *testing.T) {
	const one, two = "example.com:s:7692c3ad3540bb803c020b3a", "example.com:s:3fc4ccfe745870e2c0d99f71"
	g, ctx := NewWithT(t), context.Background()
	c := fake.NewClientBuilder().WithScheme(apis.NewClientScheme()).WithObjects(
		bundle("mine", "", "x"), bundle("example.com:other:1", "example.com/other", "x"), bundle("example.com:s:old", "example.com/s", "x")).Build()
	ca := ""
	run := func() map[string]string {
		_, err := New(controllers.Deps{Client: c}, "example.com/s", func() []byte { return []byte(ca) }).Reconcile(ctx, reconcile.Request{})
		g.Expect(err).NotTo(HaveOccurred())
		var list certificatesv1.ClusterTrustBundleList
		g.Expect(c.List(ctx, &list)).To(Succeed())
		got := map[string]string{}
		for _, b := range list.Items {
			got[b.Name] = b.Spec.TrustBundle
		}
		return got
	}
	g.Expect(run()).To(HaveLen(3), "without an authority nothing changes")
	others := func(name, pem string) map[string]string {
		return map[string]string{"mine": "x", "example.com:other:1": "x", name: pem}
	}
	ca = "one"
	g.Expect(run()).To(Equal(others(one, "one")))
	ca = "two"
	g.Expect(run()).To(Equal(others(two, "two")))
	var b certificatesv1.ClusterTrustBundle
	g.Expect(c.Get(ctx, client.ObjectKey{Name: two}, &b)).To(Succeed())
	b.Spec.TrustBundle = "changed"
	g.Expect(c.Update(ctx, &b)).To(Succeed())
	g.Expect(run()).To(Equal(others(two, "two")))
}
