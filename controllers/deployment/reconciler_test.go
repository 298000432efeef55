package deployment

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/record"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/recorders"
)

// bench is a reconciler on a fake API server.
type bench struct {
	t        *testing.T
	client   client.WithWatch
	r        *Reconciler
	recorder *record.FakeRecorder
	created  int
	refuse   error
	writes   int
}

func newBench(t *testing.T, objs ...client.Object) *bench {
	b := &bench{t: t, recorder: record.NewFakeRecorder(100)}
	count := func() { b.writes++ }
	b.client = fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(objs...).
		WithStatusSubresource(&appsv1.Deployment{}, &appsv1.ReplicaSet{}).
		WithIndex(&appsv1.ReplicaSet{}, index.Owner, index.ByOwner).WithIndex(&appsv1.ReplicaSet{}, index.PodOrphan, index.ByOrphan).
		WithInterceptorFuncs(interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
				count()
				if b.refuse != nil {
					return b.refuse
				}
				b.created++
				o.SetUID(types.UID(fmt.Sprint("set-", b.created)))
				return c.Create(ctx, o, opts...)
			},
			Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
				count()
				return c.Patch(ctx, o, p, opts...)
			},
			SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
				count()
				annotations := o.GetAnnotations() // a status may bring them, which the fake does not know
				if err := c.SubResource(sub).Update(ctx, o, opts...); err != nil {
					return err
				}
				o.SetAnnotations(annotations)
				return c.Update(ctx, o)
			},
		}).Build()
	w := newWorld(1, "1", "1")
	b.r = New(controllers.Deps{Client: b.client, Live: b.client, Clock: testingclock.NewFakeClock(w.now), Recorder: recorders.Always(b.recorder)})
	return b
}

var key = types.NamespacedName{Namespace: "ns", Name: "web"}

func (b *bench) reconcile() error {
	_, err := b.r.Reconcile(context.Background(), reconcile.Request{NamespacedName: key})
	return err
}

func (b *bench) mustReconcile() {
	b.t.Helper()
	if err := b.reconcile(); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) deployment() *appsv1.Deployment {
	b.t.Helper()
	var d appsv1.Deployment
	if err := b.client.Get(context.Background(), key, &d); err != nil {
		b.t.Fatal(err)
	}
	return &d
}

func (b *bench) sets() []appsv1.ReplicaSet {
	b.t.Helper()
	var l appsv1.ReplicaSetList
	if err := b.client.List(context.Background(), &l); err != nil {
		b.t.Fatal(err)
	}
	return l.Items
}

func (b *bench) events() string {
	var out []string
	for len(b.recorder.Events) > 0 {
		out = append(out, <-b.recorder.Events)
	}
	return strings.Join(out, "\n")
}

func condition(d *appsv1.Deployment, t appsv1.DeploymentConditionType) appsv1.DeploymentCondition {
	for _, c := range d.Status.Conditions {
		if c.Type == t {
			return c
		}
	}
	return appsv1.DeploymentCondition{}
}

// obey makes the sets' status what their spec asks for.
func (b *bench) obey() {
	b.t.Helper()
	for _, s := range b.sets() {
		n := size(&s)
		s.Status = appsv1.ReplicaSetStatus{Replicas: n, ReadyReplicas: n, AvailableReplicas: n, ObservedGeneration: s.Generation}
		if err := b.client.Status().Update(context.Background(), &s); err != nil {
			b.t.Fatal(err)
		}
	}
}

func TestAFirstRolloutAndAnUpdate(t *testing.T) {
	b := newBench(t, newWorld(3, "1", "1").d)
	b.mustReconcile()
	sets := b.sets()
	if len(sets) != 1 || size(&sets[0]) != 3 || sets[0].Annotations[annotationMax] != "4" {
		t.Fatalf("sets %+v", sets)
	}
	hash := sets[0].Labels[appsv1.DefaultDeploymentUniqueLabelKey]
	if sets[0].Name != "web-"+hash || sets[0].Spec.Selector.MatchLabels[appsv1.DefaultDeploymentUniqueLabelKey] != hash || sets[0].Spec.Template.Labels["app"] != "web" {
		t.Errorf("set %+v", sets[0])
	}
	d := b.deployment()
	if c := condition(d, appsv1.DeploymentProgressing); c.Reason != "NewReplicaSetCreated" || c.Message != fmt.Sprintf("Created new replica set %q", sets[0].Name) {
		t.Errorf("%+v", c)
	}
	if d.Annotations[annotationRevision] != "1" || d.Status.ObservedGeneration != 1 {
		t.Errorf("annotations %v, status %+v", d.Annotations, d.Status)
	}
	if e := b.events(); e != fmt.Sprintf("Normal ScalingReplicaSet Scaled up replica set %s from 0 to 3", sets[0].Name) {
		t.Errorf("events %q", e)
	}
	b.obey()
	b.mustReconcile()
	if c := condition(b.deployment(), appsv1.DeploymentProgressing); c.Message != fmt.Sprintf("ReplicaSet %q has successfully progressed.", sets[0].Name) {
		t.Errorf("%+v", c)
	}
	writes := b.writes
	b.mustReconcile()
	if b.writes != writes {
		t.Error("a reconcile without news wrote something")
	}

	d = b.deployment()
	d.Spec.Template.Spec.Containers[0].Image = "v2"
	if err := b.client.Update(context.Background(), d); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		b.mustReconcile()
		b.obey()
	}
	sizes := map[string]int32{}
	for _, s := range b.sets() {
		sizes[s.Spec.Template.Spec.Containers[0].Image] = size(&s)
	}
	if sizes["v1"] != 0 || sizes["v2"] != 3 || b.deployment().Annotations[annotationRevision] != "2" {
		t.Errorf("sizes %v, revision %s", sizes, b.deployment().Annotations[annotationRevision])
	}
}

func TestACollisionGetsAnotherName(t *testing.T) {
	w := newWorld(1, "1", "1")
	taken := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: setName("web", templateHash(&w.d.Spec.Template, nil)), Namespace: "ns", UID: "other",
		OwnerReferences: []metav1.OwnerReference{{UID: "somebody", Controller: ptr.To(true), Kind: "X", APIVersion: "x/v1", Name: "x"}}}}
	b := newBench(t, w.d, taken)
	b.mustReconcile()
	if c := b.deployment().Status.CollisionCount; c == nil || *c != 1 {
		t.Fatalf("collision count %v", c)
	}
	b.mustReconcile()
	if n := len(b.sets()); n != 2 {
		t.Errorf("%d sets", n)
	}
}

func TestAFailedCreationIsReported(t *testing.T) {
	b := newBench(t, newWorld(1, "1", "1").d)
	b.refuse = apierrors.NewForbidden(appsv1.Resource("replicasets"), "web", errors.New("no"))
	if err := b.reconcile(); !apierrors.IsForbidden(err) {
		t.Fatalf("error %v", err)
	}
	c := condition(b.deployment(), appsv1.DeploymentProgressing)
	if c.Reason != "ReplicaSetCreateError" || c.Status != corev1.ConditionFalse || !strings.HasPrefix(c.Message, `Failed to create new replica set "web-`) {
		t.Errorf("%+v", c)
	}
	if e := b.events(); !strings.HasPrefix(e, "Warning ReplicaSetCreateError Failed to create new replica set") {
		t.Errorf("events %q", e)
	}
}

func TestAdoptsAReplicaSet(t *testing.T) {
	w := newWorld(2, "1", "1")
	orphan := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "old", Namespace: "ns", UID: "orphan", Labels: map[string]string{"app": "web"}},
		Spec:       appsv1.ReplicaSetSpec{Replicas: ptr.To[int32](2), Template: w.d.Spec.Template},
	}
	b := newBench(t, w.d, orphan)
	b.mustReconcile()
	sets := b.sets()
	if len(sets) != 1 || !metav1.IsControlledBy(&sets[0], w.d) || sets[0].Annotations[annotationRevision] != "1" {
		t.Errorf("sets %+v", sets)
	}
	if c := condition(b.deployment(), appsv1.DeploymentProgressing); c.Reason != "FoundNewReplicaSet" {
		t.Errorf("%+v", c)
	}
}

func TestWaitsForItsOwnWrites(t *testing.T) {
	b := newBench(t, newWorld(3, "1", "1").d)
	b.mustReconcile()
	set := b.sets()[0]
	// The server's answer is newer than the cache.
	answered := set.DeepCopy()
	answered.Generation++
	b.r.written.record(answered)
	d := b.deployment()
	d.Spec.Replicas = ptr.To[int32](7)
	if err := b.client.Update(context.Background(), d); err != nil {
		t.Fatal(err)
	}
	b.mustReconcile()
	if got := b.sets()[0]; size(&got) != 3 {
		t.Error("planned on a stale view")
	}
	set.Generation = answered.Generation
	if err := b.client.Update(context.Background(), &set); err != nil {
		t.Fatal(err)
	}
	b.mustReconcile()
	if got := b.sets()[0]; size(&got) != 7 {
		t.Error("the view is no longer stale")
	}
}

func TestAnEmptySelectorIsRefused(t *testing.T) {
	w := newWorld(1, "1", "1")
	w.d.Spec.Selector = &metav1.LabelSelector{}
	b := newBench(t, w.d)
	b.mustReconcile()
	if len(b.sets()) != 0 || !strings.HasPrefix(b.events(), "Warning SelectingAll This deployment is selecting all pods.") {
		t.Error("not refused")
	}
}
