package cluster

import (
	"slices"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
)

// startWith starts a cluster without nodes whose configuration was changed.
func startWith(t *testing.T, change func(*v1alpha1.Cluster)) *Cluster {
	t.Helper()
	config := &v1alpha1.Cluster{DataDir: t.TempDir(), Listen: "127.0.0.1:0", Nodes: new(int32(0)), Storage: v1alpha1.Storage{UnsafeNoFsync: true}}
	change(config)
	c, err := Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

// running returns the names of the controllers that run.
func running(c *Cluster) []string {
	var names []string
	for _, s := range c.Controllers() {
		names = append(names, s.Name)
	}
	return names
}

// always run, since upstream's kube-apiserver runs them, too.
var always = []string{"cluster_authentication_trust_controller", "ipallocator-repair-controller", "legacy_token_tracking_controller", "portallocator-repair-controller"}

// Every controller that a configuration may name exists under that name.
func TestControllersAreKnownByTheirNames(t *testing.T) {
	g := NewWithT(t)
	c := startWith(t, func(*v1alpha1.Cluster) {})
	for _, name := range append(v1alpha1.ControllerNames(), always...) {
		g.Eventually(func() []string { return running(c) }).Should(ContainElement(name))
	}
}

func TestNoControllers(t *testing.T) {
	g := NewWithT(t)
	c := startWith(t, func(config *v1alpha1.Cluster) {
		config.Controllers.Enabled = []string{}
		config.Scheduler.Enabled = new(false)
	})
	g.Eventually(func() []string { return running(c) }).Should(ConsistOf(always))

	// A suite that plays the controllers may update what it created, as often as it likes.
	kube, err := client.New(c.RESTConfig(), client.Options{Scheme: c.Scheme()})
	g.Expect(err).NotTo(HaveOccurred())
	labels := map[string]string{"app": "a"}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "d"}, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}},
	}}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}
	for _, o := range []client.Object{d, node} {
		g.Expect(kube.Create(t.Context(), o)).To(Succeed())
	}
	// Another kind's round trip gives controllers that would run time to write.
	g.Expect(kube.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "other"}})).To(Succeed())
	g.Consistently(func() error {
		d.Spec.MinReadySeconds++
		if err := kube.Update(t.Context(), d); err != nil {
			return err
		}
		node.Labels = map[string]string{"turn": string('a' + d.Spec.MinReadySeconds%26)}
		return kube.Update(t.Context(), node)
	}, "500ms").Should(Succeed())
	g.Expect(node.Spec.PodCIDR).To(BeEmpty())
	accounts := &corev1.ServiceAccountList{}
	g.Expect(kube.List(t.Context(), accounts, client.InNamespace("other"))).To(Succeed())
	g.Expect(accounts.Items).To(BeEmpty())
}

func TestSomeControllers(t *testing.T) {
	g := NewWithT(t)
	c := startWith(t, func(config *v1alpha1.Cluster) {
		config.Controllers.Enabled = []string{"*", "-garbagecollector", "-job"}
	})
	g.Eventually(func() []string { return running(c) }).Should(ContainElement("deployment-controller"))
	g.Consistently(func() bool {
		return slices.Contains(running(c), "garbage-collector-controller") || slices.Contains(running(c), "job-controller")
	}, "200ms").Should(BeFalse())
}
