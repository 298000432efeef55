package endpointslice

import (
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func service() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "svc", Labels: map[string]string{"team": "x"}},
		Spec: corev1.ServiceSpec{
			ClusterIP: "10.0.0.1", IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
			Selector: map[string]string{"app": "web"},
			Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("web"), Protocol: corev1.ProtocolTCP}},
		},
	}
}

func pod(i int, ready bool) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: fmt.Sprint("p", i), UID: types.UID(fmt.Sprint("u", i)), Labels: map[string]string{"app": "web"}},
		Spec: corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{
			Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
		}}},
		Status: corev1.PodStatus{PodIPs: []corev1.PodIP{{IP: fmt.Sprintf("10.1.%d.%d", i/250, i%250+1)}}},
	}
	p.Status.PodIP = p.Status.PodIPs[0].IP
	if ready {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	return p
}

// cluster is a dumb store of slices that applies plans.
type cluster struct {
	o      observed
	serial int
	writes int
}

func newCluster(svc *corev1.Service, limit int) *cluster {
	return &cluster{o: observed{service: svc, max: limit, zones: map[string]string{"n1": "z1", "n2": "z2"}}}
}

func (c *cluster) sync() {
	for _, ch := range plan(c.o) {
		for _, s := range ch.create {
			c.serial++
			s.Name, s.UID = fmt.Sprint(s.GenerateName, c.serial), types.UID(fmt.Sprint("slice", c.serial))
			c.o.slices = append(c.o.slices, s)
		}
		for _, s := range ch.update {
			i := slices.IndexFunc(c.o.slices, func(x *discoveryv1.EndpointSlice) bool { return x.UID == s.UID })
			c.o.slices[i] = s
		}
		for _, s := range ch.remove {
			c.o.slices = slices.DeleteFunc(c.o.slices, func(x *discoveryv1.EndpointSlice) bool { return x.UID == s.UID })
		}
		c.writes += len(ch.create) + len(ch.update) + len(ch.remove)
	}
}

// facts returns what consumers read from the slices: address, port and conditions.
func facts(list []*discoveryv1.EndpointSlice) []string {
	var out []string
	for _, s := range list {
		for _, e := range s.Endpoints {
			for _, p := range s.Ports {
				out = append(out, fmt.Sprintf("%s:%d ready=%t serving=%t terminating=%t zone=%s pod=%s",
					e.Addresses[0], *p.Port, *e.Conditions.Ready, *e.Conditions.Serving, *e.Conditions.Terminating, deref(e.Zone), e.TargetRef.UID))
			}
		}
	}
	slices.Sort(out)
	return out
}

// oracle computes the same directly from the pods.
func oracle(o observed) []string {
	var out []string
	for _, p := range o.pods {
		zone, known := o.zones[p.Spec.NodeName]
		if p.Status.PodIP == "" || p.Status.Phase == corev1.PodFailed || !known {
			continue
		}
		ready, term := len(p.Status.Conditions) > 0, p.DeletionTimestamp != nil
		out = append(out, fmt.Sprintf("%s:%d ready=%t serving=%t terminating=%t zone=%s pod=%s", p.Status.PodIP,
			p.Spec.Containers[0].Ports[0].ContainerPort, ready && !term, ready, term, zone, p.UID))
	}
	slices.Sort(out)
	return out
}

func TestPlanAgainstOracle(t *testing.T) {
	for seed := range int64(300) {
		rnd := rand.New(rand.NewSource(seed))
		limit := 1 + rnd.Intn(6)
		c := newCluster(service(), limit)
		pods := map[int]*corev1.Pod{}
		for step := range 30 {
			for range rnd.Intn(6) {
				i := rnd.Intn(25)
				switch p := pods[i]; {
				case p == nil:
					pods[i] = pod(i, rnd.Intn(2) == 0)
					pods[i].UID = types.UID(fmt.Sprint("u", i, "-", step))
					pods[i].Spec.Containers[0].Ports[0].ContainerPort = int32(8080 + rnd.Intn(2))
				case rnd.Intn(3) == 0:
					delete(pods, i)
				default:
					p = p.DeepCopy()
					switch rnd.Intn(4) {
					case 0:
						p.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
					case 1:
						p.Status.Phase = corev1.PodFailed
					case 2:
						p.Status.Conditions = pod(0, len(p.Status.Conditions) == 0).Status.Conditions
					case 3:
						p.Spec.NodeName = []string{"n1", "n2", "missing"}[rnd.Intn(3)]
					}
					pods[i] = p
				}
			}
			c.o.pods = nil
			for _, i := range slices.Sorted(maps.Keys(pods)) {
				c.o.pods = append(c.o.pods, pods[i])
			}
			c.sync()
			if diff := cmp.Diff(oracle(c.o), facts(c.o.slices)); diff != "" {
				t.Fatalf("seed %d step %d: %s", seed, step, diff)
			}
			for _, s := range c.o.slices {
				if len(s.Endpoints) > limit {
					t.Fatalf("seed %d: slice of %d", seed, len(s.Endpoints))
				}
			}
			writes := c.writes
			c.sync()
			if c.writes != writes {
				t.Fatalf("seed %d step %d: a second plan writes", seed, step)
			}
		}
	}
}

// 1,000 pods become ready one by one, and then one goes: each costs one write.
func TestChangesStayLocal(t *testing.T) {
	c := newCluster(service(), 100)
	for i := range 1000 {
		c.o.pods = append(c.o.pods, pod(i, false))
	}
	c.sync()
	if len(c.o.slices) != 10 {
		t.Fatalf("%d slices", len(c.o.slices))
	}
	for _, i := range []int{3, 500, 999} {
		before := c.writes
		c.o.pods[i] = pod(i, true)
		c.sync()
		if c.writes != before+1 {
			t.Errorf("%d writes for one pod", c.writes-before)
		}
	}
	before := c.writes
	c.o.pods = slices.Delete(c.o.pods, 7, 8)
	c.sync()
	c.o.pods = append(c.o.pods, pod(2000, true))
	c.sync()
	if c.writes != before+2 || len(c.o.slices) != 10 {
		t.Errorf("%d writes, %d slices", c.writes-before, len(c.o.slices))
	}
}

func TestPlaceholderAndMetadata(t *testing.T) {
	c := newCluster(service(), 100)
	c.sync()
	if len(c.o.slices) != 1 || c.writes != 1 {
		t.Fatalf("%d slices", len(c.o.slices))
	}
	s := c.o.slices[0]
	want := map[string]string{"team": "x", "kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
	if diff := cmp.Diff(want, s.Labels); diff != "" {
		t.Error(diff)
	}
	if s.GenerateName != "web-" || len(s.OwnerReferences) != 1 || s.OwnerReferences[0].Kind != "Service" || !*s.OwnerReferences[0].Controller || !*s.OwnerReferences[0].BlockOwnerDeletion {
		t.Errorf("metadata %+v", s.ObjectMeta)
	}
	c.sync()
	if c.writes != 1 {
		t.Error("the placeholder is written again")
	}
	// The first pod takes the placeholder over, the last one leaves it.
	c.o.pods = []*corev1.Pod{pod(1, true)}
	c.sync()
	if len(c.o.slices) != 1 || c.o.slices[0].UID != s.UID || len(c.o.slices[0].Endpoints) != 1 {
		t.Errorf("beside the placeholder: %v", c.o.slices)
	}
	c.o.pods = nil
	c.sync()
	if c.writes != 3 || len(c.o.slices) != 1 || c.o.slices[0].UID != s.UID {
		t.Errorf("%d writes, slices %v", c.writes, c.o.slices)
	}
	c.o.service = service()
	c.o.service.Labels = map[string]string{"team": "y"}
	c.o.service.Spec.ClusterIP = corev1.ClusterIPNone
	c.sync()
	if l := c.o.slices[0].Labels; l["team"] != "y" || l[discoveryv1.LabelManagedBy] != ManagedBy {
		t.Errorf("labels %v", l)
	} else if _, ok := l[corev1.IsHeadlessService]; !ok {
		t.Error("headless label is missing")
	}
}

func TestFamiliesAndPublishNotReady(t *testing.T) {
	svc := service()
	svc.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
	svc.Spec.PublishNotReadyAddresses = true
	c := newCluster(svc, 100)
	p := pod(1, false)
	p.Spec.NodeName, p.Spec.Hostname, p.Spec.Subdomain = "missing", "h", "web"
	p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: "fd00::0:1"})
	c.o.pods = []*corev1.Pod{p}
	c.sync()
	if len(c.o.slices) != 2 {
		t.Fatalf("%d slices", len(c.o.slices))
	}
	for _, s := range c.o.slices {
		e := s.Endpoints[0]
		if !*e.Conditions.Ready || *e.Conditions.Serving || deref(e.Hostname) != "h" {
			t.Errorf("endpoint %+v", e)
		}
		if s.AddressType == discoveryv1.AddressTypeIPv6 && e.Addresses[0] != "fd00::1" {
			t.Errorf("address %s", e.Addresses[0])
		}
	}
	svc.Spec.IPFamilies = svc.Spec.IPFamilies[:1]
	c.sync()
	if len(c.o.slices) != 1 || c.o.slices[0].AddressType != discoveryv1.AddressTypeIPv4 {
		t.Errorf("a family that went has slices: %v", c.o.slices)
	}
}

func BenchmarkPlan1000(b *testing.B) {
	c := newCluster(service(), 100)
	for i := range 1000 {
		c.o.pods = append(c.o.pods, pod(i, true))
	}
	c.sync()
	b.ReportAllocs()
	for b.Loop() {
		plan(c.o)
	}
}
