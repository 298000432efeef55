package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster"
	"github.com/coracle-k8s/coracle/test/env"
)

const lbFinalizer = "service.kubernetes.io/load-balancer-cleanup"

func loadBalancer(name string, change func(*corev1.ServiceSpec)) *corev1.Service {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeLoadBalancer, Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Port: 80}},
	}}
	change(&svc.Spec)
	return svc
}

func asItIs(*corev1.ServiceSpec) {}

// ingress returns the Service's addresses, with a star if it has the finalizer.
func (m moving) ingress(name string) func() string {
	return func() string {
		var svc corev1.Service
		if err := m.get(&svc, "default", name); apierrors.IsNotFound(err) {
			return "gone"
		} else if err != nil {
			return err.Error()
		}
		var out []string
		for _, i := range svc.Status.LoadBalancer.Ingress {
			out = append(out, i.IP)
		}
		for _, f := range svc.Finalizers {
			if f == lbFinalizer {
				out = append(out, "*")
			}
		}
		return strings.Join(out, " ")
	}
}

// events returns the reasons and messages about an object, in no order.
func (m moving) events(name string) func() string {
	return func() string {
		var list corev1.EventList
		m.Expect(m.Client.List(m.t.Context(), &list, client.InNamespace("default"))).To(Succeed())
		var out []string
		for _, e := range list.Items {
			if e.InvolvedObject.Name == name {
				out = append(out, e.Reason+": "+e.Message)
			}
		}
		return strings.Join(out, "\n")
	}
}

func TestLoadBalancersGetNodesAddresses(t *testing.T) {
	m := start(t, 2)
	m.Expect(m.Client.Create(t.Context(), loadBalancer("first", asItIs))).To(Succeed())
	var nodes corev1.NodeList
	m.Eventually(m.ingress("first")).Should(MatchRegexp(`^10\.64\.0\.\d+ 10\.64\.0\.\d+ \*$`))
	m.Expect(m.Client.List(t.Context(), &nodes)).To(Succeed())
	all := m.ingress("first")()

	m.Expect(m.Client.Create(t.Context(), loadBalancer("second", asItIs))).To(Succeed())
	m.Expect(m.Client.Create(t.Context(), loadBalancer("other", func(s *corev1.ServiceSpec) { s.LoadBalancerClass = ptr.To("example.com/other") }))).To(Succeed())
	m.Eventually(m.events("second")).Should(ContainSubstring("SyncLoadBalancerFailed: Error syncing load balancer: failed to ensure load balancer: port 80/TCP of 10.64.0."))
	m.Expect(m.ingress("second")()).To(Equal("*"), "its port is taken")
	m.Expect(m.ingress("other")()).To(BeEmpty(), "it is somebody else's")

	// The first gives its port back in two ways; the Service that waits gets it next.
	edit(m, loadBalancer("first", asItIs), func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP })
	m.Eventually(m.ingress("first")).Should(BeEmpty())
	m.Eventually(m.ingress("second")).Should(Equal(all))
	edit(m, loadBalancer("first", asItIs), func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeLoadBalancer })
	m.Eventually(m.ingress("first")).Should(Equal("*"))
	m.Expect(m.Client.Delete(t.Context(), loadBalancer("second", asItIs))).To(Succeed())
	m.Eventually(m.ingress("second")).Should(Equal("gone"))
	m.Eventually(m.ingress("first")).Should(Equal(all))
	for _, said := range []string{
		"EnsuringLoadBalancer: Ensuring load balancer", "EnsuredLoadBalancer: Ensured load balancer",
		"DeletingLoadBalancer: Deleting load balancer", "DeletedLoadBalancer: Deleted load balancer",
	} {
		m.Eventually(m.events("first")).Should(ContainSubstring(said))
	}

	// A node that is taken out of service, and one that comes back.
	edit(m, &nodes.Items[0], func(n *corev1.Node) { n.Labels[corev1.LabelNodeExcludeBalancers] = "" })
	m.Eventually(m.ingress("first")).Should(MatchRegexp(`^10\.64\.0\.\d+ \*$`))
	edit(m, &nodes.Items[0], func(n *corev1.Node) { delete(n.Labels, corev1.LabelNodeExcludeBalancers) })
	m.Eventually(m.ingress("first")).Should(Equal(all))

	// A status that is not what the controller wrote, or not yet seen by it when the node came back.
	var svc corev1.Service
	m.Expect(m.get(&svc, "default", "first")).To(Succeed())
	svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.9"}}
	m.Expect(m.Client.Status().Update(t.Context(), &svc)).To(Succeed())
	m.Eventually(m.ingress("first")).Should(Equal(all))
}

func TestLocalLoadBalancersFollowTheirPods(t *testing.T) {
	m := start(t, 3)
	m.Expect(m.Client.Create(t.Context(), deployment("web", func(*appsv1.DeploymentSpec) {}))).To(Succeed())
	m.Expect(m.Client.Create(t.Context(), loadBalancer("web", func(s *corev1.ServiceSpec) {
		s.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	}))).To(Succeed())
	where := func() string {
		var pods corev1.PodList
		m.Expect(m.Client.List(t.Context(), &pods, client.InNamespace("default"))).To(Succeed())
		for _, p := range pods.Items {
			if p.DeletionTimestamp == nil && p.Status.HostIP != "" {
				return p.Status.HostIP + " *"
			}
		}
		return "nowhere"
	}
	m.Eventually(func() bool { return m.ingress("web")() == where() }).Should(BeTrue(), "only the node of the pod")
	var svc corev1.Service
	m.Expect(m.get(&svc, "default", "web")).To(Succeed())
	m.Expect(svc.Spec.HealthCheckNodePort).NotTo(BeZero())
	m.Expect(*svc.Status.LoadBalancer.Ingress[0].IPMode).To(Equal(corev1.LoadBalancerIPModeVIP))
}

// cloud is a cloud provider that has load balancers and nothing else.
type cloud struct {
	cloudprovider.Interface
	client kubernetes.Interface
}

func (c *cloud) Initialize(clients cloudprovider.ControllerClientBuilder, _ <-chan struct{}) {
	c.client = clients.ClientOrDie("cloud")
}

func (c *cloud) LoadBalancer() (cloudprovider.LoadBalancer, bool) { return c, true }

func (c *cloud) GetLoadBalancerName(context.Context, string, *corev1.Service) string { return "lb" }

func (c *cloud) GetLoadBalancer(ctx context.Context, name string, svc *corev1.Service) (*corev1.LoadBalancerStatus, bool, error) {
	return &svc.Status.LoadBalancer, true, nil
}

func (c *cloud) EnsureLoadBalancer(ctx context.Context, name string, svc *corev1.Service, nodes []*corev1.Node) (*corev1.LoadBalancerStatus, error) {
	if _, err := c.client.CoreV1().Services(svc.Namespace).Get(ctx, svc.Name, metav1.GetOptions{}); err != nil {
		return nil, fmt.Errorf("asking the cluster: %w", err)
	}
	return &corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: fmt.Sprint("192.0.2.", len(nodes))}}}, nil
}

func (c *cloud) UpdateLoadBalancer(context.Context, string, *corev1.Service, []*corev1.Node) error {
	return errors.New("cannot be changed")
}

func (c *cloud) EnsureLoadBalancerDeleted(context.Context, string, *corev1.Service) error { return nil }

func TestCloudMakesLoadBalancers(t *testing.T) {
	m := moving{Env: env.Start(t, env.WithNodes(1), env.WithCluster(cluster.WithCloudProvider(&cloud{}))), Gomega: NewWithT(t), t: t}
	m.Eventually(func() error { return m.Client.Create(t.Context(), loadBalancer("web", asItIs)) }).Should(Succeed())
	m.Eventually(m.ingress("web")).WithTimeout(20 * time.Second).Should(MatchRegexp(`^192\.0\.2\.[01] \*$`))
	m.Expect(m.Client.Delete(t.Context(), loadBalancer("web", asItIs))).To(Succeed())
	m.Eventually(m.ingress("web")).WithTimeout(20 * time.Second).Should(Equal("gone"))
}

func TestNobodyMakesLoadBalancers(t *testing.T) {
	m := moving{Env: env.Start(t, env.WithConfig(func(c *v1alpha1.Cluster) { c.Network.LoadBalancer = v1alpha1.LoadBalancerNone })), Gomega: NewWithT(t), t: t}
	m.Expect(m.Client.Create(t.Context(), loadBalancer("web", asItIs))).To(Succeed())
	m.Consistently(m.ingress("web"), 300*time.Millisecond).Should(BeEmpty())
}
