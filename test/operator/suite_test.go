// Package operator is a sample operator, laid out as kubebuilder does, with the
// suite that its author would write: it passes against envtest's programs as
// Coracle provides them, and against a running Coracle.
package operator

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster"
	v1 "github.com/coracle-k8s/coracle/test/operator/api/v1"
	"github.com/coracle-k8s/coracle/test/operator/api/v1beta1"
	"github.com/coracle-k8s/coracle/test/operator/controller"
	hook "github.com/coracle-k8s/coracle/test/operator/webhook"
)

func TestOperator(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter)))
	RunSpecs(t, "the sample operator")
}

// assets asks the program for what envtest starts.
func assets() *envtest.Environment {
	program := os.Getenv("CORACLE_BIN")
	if program == "" {
		program = "../../bin/coracle"
	}
	dir := filepath.Join(GinkgoT().TempDir(), "assets")
	out, err := exec.Command(program, "envtest-assets", "--controllers", "*", dir).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "is %s there? run `make build`: %s", program, out)
	Expect(strings.TrimSpace(string(out))).To(Equal("export KUBEBUILDER_ASSETS=" + dir))
	env := &envtest.Environment{BinaryAssetsDirectory: dir}
	env.ControlPlane.GetAPIServer().Configure().Append("simulated-nodes", "1")
	env.ControlPlane.GetAPIServer().Err = GinkgoWriter
	return env
}

// existing runs a cluster and points envtest to it.
func existing() *envtest.Environment {
	none := int32(0)
	c, err := cluster.Start(context.Background(), &v1alpha1.Cluster{DataDir: GinkgoT().TempDir(), Listen: "127.0.0.1:0", Nodes: &none, SimulatedNodes: 1})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(c.Stop)
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	Expect(err).NotTo(HaveOccurred())
	yes := true
	return &envtest.Environment{UseExistingCluster: &yes, Config: config}
}

var _ = Describe("The operator", func() {
	for name, environment := range map[string]func() *envtest.Environment{
		"with KUBEBUILDER_ASSETS":  assets,
		"with an existing cluster": existing,
	} {
		Context(name, Ordered, func() { specs(environment) })
	}
})

// start runs the operator against the environment.
func start(env *envtest.Environment) client.Client {
	GinkgoHelper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1.AddToScheme, v1beta1.AddToScheme} {
		Expect(add(scheme)).To(Succeed())
	}
	env.Scheme, env.ErrorIfCRDPathMissing = scheme, true
	env.CRDDirectoryPaths = []string{filepath.Join("config", "crd")}
	env.WebhookInstallOptions.Paths = []string{filepath.Join("config", "webhook")}
	DeferCleanup(env.Stop) // also of what a failed start leaves
	config, err := env.Start()
	Expect(err).NotTo(HaveOccurred())

	hooks := env.WebhookInstallOptions
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"},
		WebhookServer: webhook.NewServer(webhook.Options{Host: hooks.LocalServingHost, Port: hooks.LocalServingPort, CertDir: hooks.LocalServingCertDir}),
	})
	Expect(err).NotTo(HaveOccurred())
	Expect((&controller.WebAppReconciler{Client: mgr.GetClient()}).SetupWithManager(mgr)).To(Succeed())
	Expect(hook.SetupWebAppWebhookWithManager(mgr)).To(Succeed())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	DeferCleanup(func() {
		cancel()
		Eventually(ended).Should(Receive(BeNil()))
	})
	address := net.JoinHostPort(hooks.LocalServingHost, strconv.Itoa(hooks.LocalServingPort))
	Eventually(func() error {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return err
		}
		return conn.Close()
	}).Should(Succeed(), "the webhook server")
	c, err := client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

func specs(environment func() *envtest.Environment) {
	var c client.Client
	ctx := context.Background()
	app := func(name string, replicas int32) *v1.WebApp {
		return &v1.WebApp{
			ObjectMeta: metav1.ObjectMeta{Namespace: "work", Name: name},
			Spec:       v1.WebAppSpec{Image: "coracle.dev/sample:v1", Replicas: replicas, Greeting: v1.Greeting{Text: "hello", Name: "you"}},
		}
	}
	BeforeAll(func() {
		c = start(environment())
		Expect(c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "work"}})).To(Succeed())
	})

	It("makes what a WebApp wants, and its pods run", func() {
		Expect(c.Create(ctx, app("site", 2))).To(Succeed())
		Eventually(func(g Gomega) {
			got := &v1.WebApp{}
			g.Expect(c.Get(ctx, client.ObjectKey{Namespace: "work", Name: "site"}, got)).To(Succeed())
			g.Expect(got.Status.AvailableReplicas).To(BeEquivalentTo(2))
			g.Expect(meta.IsStatusConditionTrue(got.Status.Conditions, "Ready")).To(BeTrue())
		}).Should(Succeed())
	})

	It("defaults, and refuses what schema, rule and webhook forbid", func() {
		one := app("one", 0)
		Expect(c.Create(ctx, one)).To(Succeed())
		Expect(one.Spec.Replicas).To(BeEquivalentTo(1))
		for message, bad := range map[string]*v1.WebApp{
			"spec.replicas: 6 is more than 5":                            app("many", 6),
			"spec.replicas in body should be greater than or equal to 0": app("few", -1),
		} {
			Expect(c.Create(ctx, bad)).To(MatchError(ContainSubstring(message)))
		}
		latest := app("latest", 1)
		latest.Spec.Image = "web:latest"
		err := c.Create(ctx, latest)
		Expect(apierrors.IsInvalid(err)).To(BeTrue())
		Expect(err).To(MatchError(ContainSubstring("name a version")))
	})

	It("serves the older version by the conversion webhook", func() {
		old := &v1beta1.WebApp{}
		Expect(c.Get(ctx, client.ObjectKey{Namespace: "work", Name: "site"}, old)).To(Succeed())
		Expect(old.Spec.Message).To(Equal("hello, you"))
		old = &v1beta1.WebApp{ObjectMeta: metav1.ObjectMeta{Namespace: "work", Name: "old"}, Spec: v1beta1.WebAppSpec{Image: "coracle.dev/sample:v1", Message: "welcome, all"}}
		Expect(c.Create(ctx, old)).To(Succeed())
		fresh := &v1.WebApp{}
		Expect(c.Get(ctx, client.ObjectKeyFromObject(old), fresh)).To(Succeed())
		Expect(fresh.Spec.Greeting).To(Equal(v1.Greeting{Text: "welcome", Name: "all"}))
		list := &v1beta1.WebAppList{}
		Expect(c.List(ctx, list, client.InNamespace("work"))).To(Succeed())
		Expect(list.Items).To(HaveLen(3))
	})

	It("selects by a field of its own, and scales", func() {
		list := &v1.WebAppList{}
		Expect(c.List(ctx, list, client.InNamespace("work"), client.MatchingFields{"spec.image": "none"})).To(Succeed())
		Expect(list.Items).To(BeEmpty())
		Expect(c.List(ctx, list, client.InNamespace("work"), client.MatchingFields{"spec.image": "coracle.dev/sample:v1"})).To(Succeed())
		Expect(list.Items).To(HaveLen(3))
		Expect(c.SubResource("scale").Patch(ctx, app("site", 0), client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"replicas":3}}`)))).To(Succeed())
		Eventually(func(g Gomega) {
			d := &appsv1.Deployment{}
			g.Expect(c.Get(ctx, client.ObjectKey{Namespace: "work", Name: "site"}, d)).To(Succeed())
			g.Expect(d.Status.AvailableReplicas).To(BeEquivalentTo(3))
		}).Should(Succeed())
	})

	It("leaves nothing of a deleted WebApp: what it owned is collected", func() {
		Expect(c.Delete(ctx, app("site", 0))).To(Succeed())
		Eventually(func(g Gomega) {
			for _, gone := range []client.Object{&appsv1.Deployment{}, &corev1.ConfigMap{}} {
				g.Expect(apierrors.IsNotFound(c.Get(ctx, client.ObjectKey{Namespace: "work", Name: "site"}, gone))).To(BeTrue())
			}
			pods := &corev1.PodList{}
			g.Expect(c.List(ctx, pods, client.InNamespace("work"), client.MatchingLabels{"app": "site"})).To(Succeed())
			g.Expect(pods.Items).To(BeEmpty())
		}).Should(Succeed())
	})

	It("leaves nothing of a deleted namespace", func() {
		Expect(c.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "work"}})).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(c.Get(ctx, client.ObjectKey{Name: "work"}, &corev1.Namespace{}))
		}).Should(BeTrue())
		list := &v1.WebAppList{}
		Expect(c.List(ctx, list)).To(Succeed())
		Expect(list.Items).To(BeEmpty())
	})
}
