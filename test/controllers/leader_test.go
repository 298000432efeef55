package controllers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster"
	"github.com/coracle-k8s/coracle/cluster/keys"
	"github.com/coracle-k8s/coracle/test/env"
)

// leases are the Leases by which servers elect their leaders.
var leases = [...]string{"kube-controller-manager", "kube-scheduler"}

// several starts servers of one cluster.
type several struct {
	t     *testing.T
	first string // its data directory
	times v1alpha1.LeaderElection
}

func newSeveral(t *testing.T, lease, renew, retry time.Duration) *several {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		if err := goleak.Find(before); err != nil {
			t.Errorf("the servers left something behind: %v", err)
		}
	})
	return &several{t: t, times: v1alpha1.LeaderElection{
		LeaseDuration: metav1.Duration{Duration: lease}, RenewDeadline: metav1.Duration{Duration: renew}, RetryPeriod: metav1.Duration{Duration: retry},
	}}
}

func (s *several) start(etcd string, nodes int32, more ...env.Option) *env.Env {
	s.t.Helper()
	dir := s.t.TempDir()
	if s.first == "" {
		s.first = dir
	} else {
		copyFile(s.t, filepath.Join(dir, keys.TokenFile), filepath.Join(s.first, keys.TokenFile))
	}
	return env.Start(s.t, append([]env.Option{env.Beside(), env.WithDir(dir), env.WithNodes(nodes), env.WithConfig(func(c *v1alpha1.Cluster) {
		c.Storage = v1alpha1.Storage{Endpoints: []string{"http://" + etcd}}
		c.LeaderElection = s.times
	})}, more...)...)
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// leads reports whether e does everything that one server does for all.
func leads(e *env.Env) bool {
	for _, d := range e.Cluster.Status().Duties {
		if !d.Here || d.Leader != d.Identity {
			return false
		}
	}
	return true
}

// rests reports whether e does nothing of it, and no controller of e is left.
func rests(e *env.Env) bool {
	for _, d := range e.Cluster.Status().Duties {
		if d.Here {
			return false
		}
	}
	return len(e.Cluster.Controllers()) == 0
}

func deploy(name string, replicas int32) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	labels := map[string]string{"app": name}
	d.Spec.Replicas, d.Spec.Selector = &replicas, &metav1.LabelSelector{MatchLabels: labels}
	d.Spec.Template.Labels = labels
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "c", Image: "x"}}
	return d
}

// scaled changes the Deployment and waits until it is as wanted, handled once.
func scaled(t *testing.T, e *env.Env, d *appsv1.Deployment, replicas int32) {
	t.Helper()
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(time.Minute)
	key := client.ObjectKeyFromObject(d)
	g.Eventually(func() error {
		if err := e.Client.Get(t.Context(), key, d); err != nil {
			return err
		}
		d.Spec.Replicas = &replicas
		return e.Client.Update(t.Context(), d)
	}).Should(Succeed())
	g.Eventually(func(g Gomega) {
		g.Expect(e.Client.Get(t.Context(), key, d)).To(Succeed())
		g.Expect(d.Status.AvailableReplicas).To(Equal(replicas))
		var pods corev1.PodList
		g.Expect(e.Client.List(t.Context(), &pods, client.InNamespace("default"), client.MatchingLabels(d.Spec.Selector.MatchLabels))).To(Succeed())
		g.Expect(pods.Items).To(HaveLen(int(replicas)))
		var sets appsv1.ReplicaSetList
		g.Expect(e.Client.List(t.Context(), &sets, client.InNamespace("default"))).To(Succeed())
		g.Expect(sets.Items).To(HaveLen(1))
	}).Should(Succeed(), "the deployment has %d replicas", replicas)
}

func metrics(t *testing.T, e *env.Env) string {
	t.Helper()
	kube, err := kubernetes.NewForConfig(e.Config)
	if err != nil {
		t.Fatal(err)
	}
	body, err := kube.RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestLeaderStops: of three servers one leads; when it is stopped another one
// does, at once: the Lease would keep it out for an hour, were it not released.
func TestLeaderStops(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(time.Minute)
	s := newSeveral(t, time.Hour, time.Minute, 100*time.Millisecond)
	etcd := startEtcd(t)
	a := s.start(etcd, 0)
	g.Eventually(leads).WithArguments(a).Should(BeTrue(), "the only server leads")
	b := s.start(etcd, 1) // its node serves the cluster, whichever server leads
	d := deploy("web", 3)
	g.Expect(b.Client.Create(t.Context(), d)).To(Succeed())
	scaled(t, b, d, 3)
	g.Expect(rests(b)).To(BeTrue())
	g.Expect(b.Cluster.Idle()).To(BeTrue())
	for _, lease := range leases {
		g.Expect(metrics(t, a)).To(ContainSubstring(`leader_election_master_status{name="` + lease + `"} 1`))
		g.Expect(metrics(t, b)).To(ContainSubstring(`leader_election_master_status{name="` + lease + `"} 0`))
	}
	g.Expect(metrics(t, a)).To(And(ContainSubstring(`workqueue_adds_total{name="deployment"}`), ContainSubstring("scheduler_pending_pods{")))
	g.Expect(metrics(t, b)).NotTo(Or(ContainSubstring(`workqueue_adds_total{name="deployment"}`), ContainSubstring("scheduler_pending_pods{")))
	g.Eventually(func(g Gomega) {
		var events corev1.EventList
		g.Expect(b.Client.List(t.Context(), &events, client.InNamespace("kube-system"))).To(Succeed())
		var said []string
		for _, e := range events.Items {
			said = append(said, strings.Join([]string{e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Reason, e.Message}, " "))
		}
		for _, duty := range a.Cluster.Status().Duties {
			g.Expect(said).To(ContainElement("Lease " + duty.Name + " LeaderElection " + duty.Identity + " became leader"))
		}
	}).Should(Succeed(), "events tell of the leader")

	c := s.start(etcd, 0)
	a.Cluster.Stop()
	g.Eventually(func() int {
		n := 0
		for _, e := range []*env.Env{b, c} {
			for _, d := range e.Cluster.Status().Duties {
				if d.Here {
					n++
				}
			}
		}
		return n
	}).Should(Equal(len(leases)), "others do what the leader did")
	scaled(t, c, d, 5)
}

// TestLeaderIsCutOff: a leader that does not reach etcd cannot renew its Leases
// nor release them. It stops leading, another one leads when they have run out,
// and it stands for election again.
func TestLeaderIsCutOff(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(time.Minute)
	s := newSeveral(t, 3*time.Second, 2*time.Second, 200*time.Millisecond)
	etcd := startEtcd(t)
	w := startWire(t, etcd)
	a := s.start(w.address(), 0)
	g.Eventually(leads).WithArguments(a).Should(BeTrue(), "the only server leads")
	b := s.start(etcd, 1)
	d := deploy("web", 3)
	g.Expect(a.Client.Create(t.Context(), d)).To(Succeed())
	scaled(t, b, d, 3)

	w.set(false)
	g.Eventually(rests).WithArguments(a).Should(BeTrue(), "who cannot renew does not lead")
	g.Eventually(leads).WithArguments(b).Should(BeTrue(), "the other one leads")
	scaled(t, b, d, 4)
	w.set(true)
	g.Eventually(func() bool {
		for _, d := range a.Cluster.Status().Duties {
			if d.Here || d.Leader == d.Identity {
				return false
			}
		}
		return true
	}).Should(BeTrue(), "the first knows of the other")
	select {
	case err := <-a.Cluster.Failed():
		t.Fatalf("the server failed: %v", err)
	default:
	}

	for _, name := range leases { // as if another server had them for long
		var lease coordinationv1.Lease
		g.Eventually(func() error {
			if err := b.Client.Get(t.Context(), client.ObjectKey{Namespace: "kube-system", Name: name}, &lease); err != nil {
				return err
			}
			other, now := "somebody", metav1.NowMicro()
			lease.Spec.HolderIdentity, lease.Spec.RenewTime = &other, &now
			return b.Client.Update(t.Context(), &lease)
		}).Should(Succeed())
	}
	g.Eventually(func() bool { return leads(a) || leads(b) }).Should(BeTrue(), "one of both leads again")
	scaled(t, a, d, 5)
}

// TestOneServerHasNoLease: what is not shared is not fought for.
func TestOneServerHasNoLease(t *testing.T) {
	g := NewWithT(t)
	e := env.Start(t, env.WithNodes(0))
	g.Expect(e.Cluster.Status().Duties).To(Equal([]cluster.Duty{{Name: leases[0], Here: true}, {Name: leases[1], Here: true}}))
	g.Eventually(e.Cluster.Idle).WithTimeout(time.Minute).Should(BeTrue())
	var list coordinationv1.LeaseList
	g.Expect(e.Client.List(t.Context(), &list, client.InNamespace("kube-system"))).To(Succeed())
	for _, l := range list.Items {
		g.Expect(l.Name).NotTo(BeElementOf(leases))
		g.Expect(l.Labels).NotTo(HaveKey("apiserver.kubernetes.io/identity"))
	}
	g.Expect(metrics(t, e)).NotTo(ContainSubstring("leader_election"))
}
