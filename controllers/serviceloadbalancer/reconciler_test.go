package serviceloadbalancer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/recorders"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"
	cloudprovider "k8s.io/cloud-provider"
	cloudapi "k8s.io/cloud-provider/api"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// cloud is a balancer as a cloud has it: it keeps what it made.
type cloud struct {
	made  map[string][]string // nodes by the Service's UID
	fails error
}

var _ cloudprovider.LoadBalancer = &cloud{}

func (c *cloud) GetLoadBalancerName(context.Context, string, *corev1.Service) string { return "x" }

func (c *cloud) GetLoadBalancer(_ context.Context, _ string, svc *corev1.Service) (*corev1.LoadBalancerStatus, bool, error) {
	_, exists := c.made[string(svc.UID)]
	return c.status(), exists, nil
}

func (c *cloud) status() *corev1.LoadBalancerStatus {
	return &corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}}
}

func (c *cloud) EnsureLoadBalancer(ctx context.Context, name string, svc *corev1.Service, nodes []*corev1.Node) (*corev1.LoadBalancerStatus, error) {
	if !slices.Contains(svc.Finalizers, Finalizer) {
		return nil, errors.New("asked before there is a finalizer")
	}
	return c.status(), c.UpdateLoadBalancer(ctx, name, svc, nodes)
}

func (c *cloud) UpdateLoadBalancer(_ context.Context, _ string, svc *corev1.Service, nodes []*corev1.Node) error {
	if c.fails == nil {
		c.made[string(svc.UID)] = namesForEvent(nodes)
	}
	return c.fails
}

func (c *cloud) EnsureLoadBalancerDeleted(_ context.Context, _ string, svc *corev1.Service) error {
	if c.fails == nil {
		delete(c.made, string(svc.UID))
	}
	return c.fails
}

// TestReconcile follows one Service; want holds the cloud's balancers and the
// events since the last step.
func TestReconcile(t *testing.T) {
	ctx := context.Background()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&corev1.Service{}).Build()
	events := record.NewFakeRecorder(20)
	balancer := &cloud{made: map[string][]string{}}
	r := New(controllers.Deps{Client: c, Clock: clocktesting.NewFakeClock(time.Unix(0, 0)), Recorder: recorders.Always(events)}, Config{Balancer: balancer})
	svc := service()
	key := client.ObjectKeyFromObject(svc)
	update := func(change func(*corev1.Service)) error {
		var now corev1.Service
		if err := c.Get(ctx, key, &now); err != nil {
			return err
		}
		change(&now)
		return c.Update(ctx, &now)
	}
	node := func(name string) *corev1.Node { return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}} }
	story := []struct {
		name string
		do   func() error
		want string
	}{
		{"a Service comes", func() error { return c.Create(ctx, svc) }, "1=[] 192.0.2.1 Normal EnsuringLoadBalancer, Warning UnAvailableLoadBalancer, Normal EnsuredLoadBalancer"},
		{"nothing happens", func() error { return nil }, "1=[] 192.0.2.1 "},
		{"a node comes", func() error { return c.Create(ctx, node("n1")) }, "1=[n1] 192.0.2.1 Normal UpdatedLoadBalancer"},
		{"the cloud fails", func() error { balancer.fails = errors.New("quota"); return c.Create(ctx, node("n2")) }, "1=[n1] 192.0.2.1 Warning UpdateLoadBalancerFailed error"},
		{"it goes on failing", func() error { return nil }, "1=[n1] 192.0.2.1 Normal EnsuringLoadBalancer, Warning SyncLoadBalancerFailed error"},
		{"it wants to be asked later", func() error { balancer.fails = cloudapi.NewRetryError("soon", time.Minute); return nil }, "1=[n1] 192.0.2.1 Normal EnsuringLoadBalancer, Warning SyncLoadBalancerFailed after 1m0s"},
		{"it works again", func() error { balancer.fails = nil; return nil }, "1=[n1 n2] 192.0.2.1 Normal EnsuringLoadBalancer, Normal EnsuredLoadBalancer"},
		{"the type changes", func() error { return update(clusterIP) }, " Normal DeletingLoadBalancer, Normal DeletedLoadBalancer"},
		{"and back", func() error { return update(func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeLoadBalancer }) }, "1=[n1 n2] 192.0.2.1 Normal EnsuringLoadBalancer, Normal EnsuredLoadBalancer"},
		{"it is deleted", func() error { return c.Delete(ctx, svc) }, " Normal DeletingLoadBalancer, Normal DeletedLoadBalancer"},
	}
	for _, s := range story {
		if err := s.do(); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		result, err := r.Reconcile(ctx, reconcile.Request{NamespacedName: key})
		var got corev1.Service
		if client.IgnoreNotFound(c.Get(ctx, key, &got)) != nil || hasFinalizer(&got) != (len(balancer.made) > 0) {
			t.Fatalf("%s: finalizers %v", s.name, got.Finalizers)
		}
		if line := describe(balancer, &got, events, result, err); line != s.want {
			t.Errorf("%s:\n got %q\nwant %q", s.name, line, s.want)
		}
	}
	if len(r.records) > 0 {
		t.Errorf("a Service that is gone is remembered")
	}
}

func describe(balancer *cloud, svc *corev1.Service, events *record.FakeRecorder, result reconcile.Result, err error) string {
	line := ""
	for uid, nodes := range balancer.made {
		line += fmt.Sprintf("%s=%v", uid, nodes)
	}
	for _, i := range svc.Status.LoadBalancer.Ingress {
		line += " " + i.IP
	}
	var said []string
	for len(events.Events) > 0 {
		said = append(said, strings.Join(strings.Fields(<-events.Events)[:2], " "))
	}
	line += " " + strings.Join(said, ", ")
	if err != nil {
		line += " error"
	}
	if result.RequeueAfter > 0 {
		line += " after " + result.RequeueAfter.String()
	}
	return line
}

func TestForget(t *testing.T) {
	ctx := context.Background()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&corev1.Service{}).Build()
	events := record.NewFakeRecorder(20)
	balancer := &cloud{made: map[string][]string{"1": nil}}
	r := New(controllers.Deps{Client: c, Clock: clocktesting.NewFakeClock(time.Unix(0, 0)), Recorder: recorders.Always(events)}, Config{Balancer: balancer})
	key := client.ObjectKeyFromObject(service())
	r.note(key, &memory{service: service(), ensured: true})
	balancer.fails = errors.New("down")
	if _, err := r.Reconcile(ctx, reconcile.Request{NamespacedName: key}); err == nil || len(r.records) == 0 {
		t.Errorf("a balancer is forgotten that is still there: %v", err)
	}
	balancer.fails = nil
	if _, err := r.Reconcile(ctx, reconcile.Request{NamespacedName: key}); err != nil || len(balancer.made) > 0 || len(r.records) > 0 {
		t.Errorf("the balancer of a Service that is gone: %v, %v", balancer.made, err)
	}
}
