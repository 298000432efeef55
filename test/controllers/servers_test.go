package controllers

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster"
	"github.com/coracle-k8s/coracle/test/env"
)

func advertising(address string) env.Option {
	return env.WithConfig(func(c *v1alpha1.Cluster) { c.AdvertiseAddress = address })
}

// led returns the addresses that the Service kubernetes leads to, by its slices.
func led(t *testing.T, e *env.Env) []string {
	t.Helper()
	var list discoveryv1.EndpointSliceList
	if err := e.Client.List(t.Context(), &list, client.InNamespace("default"), client.MatchingLabels{discoveryv1.LabelServiceName: "kubernetes"}); err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for _, slice := range list.Items {
		for _, endpoint := range slice.Endpoints {
			all = append(all, endpoint.Addresses...)
		}
	}
	return all
}

// TestServersAreOneCluster: a server that was given another one's server token is
// of its cluster, to users, pods and agents alike, until it stops.
func TestServersAreOneCluster(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(time.Minute)
	s := newSeveral(t, time.Hour, time.Minute, 100*time.Millisecond)
	etcd := startEtcd(t)
	behind := env.WithConfig(func(c *v1alpha1.Cluster) { c.Agents.Proxies = []string{"127.0.0.1"} })
	a := s.start(etcd, 0, advertising("10.0.0.1"), behind)
	b := s.start(etcd, 0, advertising("10.0.0.2"), behind)
	for _, e := range []*env.Env{a, b} {
		g.Eventually(led).WithArguments(t, e).Should(ConsistOf("10.0.0.1", "10.0.0.2"))
	}

	agentsJoinAnyServer(t, a, b)
	user := a.TLSConfig(t)
	user.Host = b.Cluster.URL() // with the first one's authority and certificate
	g.Expect(list(t, user)).To(Succeed())
	kube, err := kubernetes.NewForConfig(a.Config)
	g.Expect(err).NotTo(HaveOccurred())
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "visitor"}}
	g.Expect(a.Client.Create(t.Context(), account)).To(Succeed())
	token, err := kube.CoreV1().ServiceAccounts(account.Namespace).CreateToken(t.Context(), account.Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token.Status.Token}}
	g.Expect(b.Client.Create(t.Context(), review)).To(Succeed())
	g.Expect(review.Status.Authenticated).To(BeTrue(), review.Status.Error)

	a.Cluster.Stop()
	g.Expect(led(t, b)).To(ConsistOf("10.0.0.2"), "the Lease would last for an hour")
	var leases coordinationv1.LeaseList
	g.Expect(b.Client.List(t.Context(), &leases, client.MatchingLabels{"apiserver.kubernetes.io/identity": "kube-apiserver"})).To(Succeed())
	g.Expect(leases.Items).To(HaveLen(1))
}

func list(t *testing.T, config *rest.Config) error {
	t.Helper()
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	defer kube.CoreV1().RESTClient().(*rest.RESTClient).Client.CloseIdleConnections()
	_, err = kube.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	return err
}

// TestStrangerIsNoServer: a server without the token of the cluster that its etcd
// has fails with advice, and writes nothing there.
func TestStrangerIsNoServer(t *testing.T) {
	g := NewWithT(t)
	s := newSeveral(t, time.Hour, time.Minute, 100*time.Millisecond)
	etcd := startEtcd(t)
	a := s.start(etcd, 0, advertising("10.0.0.1"))
	g.Eventually(led).WithArguments(t, a).WithTimeout(time.Minute).Should(ConsistOf("10.0.0.1"))
	config := a.Cluster.Config()
	config.DataDir, config.AdvertiseAddress = t.TempDir(), "10.0.0.2"
	_, err := cluster.Start(t.Context(), config)
	g.Expect(err).To(MatchError("the etcd at http://" + etcd + " has a cluster whose keys " + config.DataDir + " does not have: copy the file server-token of one of its servers there"))
	g.Expect(led(t, a)).To(ConsistOf("10.0.0.1"))
}
