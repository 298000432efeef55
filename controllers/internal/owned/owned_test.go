package owned

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers/internal/claim"
	"github.com/coracle-k8s/coracle/controllers/internal/expect"
)

var kind = appsv1.SchemeGroupVersion.WithKind("ReplicaSet")

func set() *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "ns", UID: "u"},
		Spec: appsv1.ReplicaSetSpec{Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "a"}, Annotations: map[string]string{"x": "y"}, Finalizers: []string{"f/f"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		}},
	}
}

func pod(name string, owner types.UID, phase corev1.PodPhase) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns", UID: types.UID(name), Labels: map[string]string{"app": "a"}},
		Status:     corev1.PodStatus{Phase: phase},
	}
	if owner != "" {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web", UID: owner, Controller: ptr.To(true)}}
	}
	return p
}

// control returns a Control whose server refuses what refuse returns an error
// for, and the events that it sends.
func control(refuse func(verb string, n int) error, objs ...client.Object) (*Control, func() []string) {
	var mu sync.Mutex
	calls := map[string]int{}
	asked := func(verb string) error {
		mu.Lock()
		defer mu.Unlock()
		calls[verb]++
		return refuse(verb, calls[verb])
	}
	c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(objs...).
		WithIndex(&corev1.Pod{}, index.Owner, index.ByOwner).WithIndex(&corev1.Pod{}, index.PodOrphan, index.ByOrphan).
		WithInterceptorFuncs(interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
				if err := asked("create"); err != nil {
					return err
				}
				return c.Create(ctx, obj, opts...)
			},
			Delete: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
				if err := asked("delete"); err != nil {
					return err
				}
				return c.Delete(ctx, obj, opts...)
			},
		}).Build()
	rec := record.NewFakeRecorder(1000)
	sent := func() (all []string) {
		for len(rec.Events) > 0 {
			all = append(all, <-rec.Events)
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	return &Control{Client: c, Expected: expect.New(clocktesting.NewFakePassiveClock(metav1.Now().Time)), Owner: "u", Told: Events{rec, set()}}, sent
}

func TestCreate(t *testing.T) {
	full := errors.New("no more")
	going := &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Reason: metav1.StatusReasonForbidden, Message: "going",
		Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}}}}
	for _, tc := range []struct {
		name    string
		from    int
		refusal error
		created int
		events  []string
		err     error
	}{
		{"all of them", 100, nil, 20, nil, nil},
		{"none", 1, full, 0, []string{"Warning FailedCreate Error creating: no more"}, full},
		{"some", 5, full, 4, []string{"Warning FailedCreate Error creating: no more"}, full},
		{"in a namespace that goes", 1, going, 0, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, sent := control(func(_ string, n int) error {
				if n >= tc.from {
					return tc.refusal
				}
				return nil
			})
			created, err := c.Create(context.Background(), 20, func(i int) *corev1.Pod {
				p := NewPod(set(), kind, &set().Spec.Template)
				p.Name = fmt.Sprint("p", i)
				return p
			})
			if created != tc.created || !errors.Is(err, tc.err) {
				t.Errorf("created %d, %v", created, err)
			}
			events := slices.DeleteFunc(sent(), func(e string) bool { return len(e) > 6 && e[:6] == "Normal" })
			if diff := cmp.Diff(tc.events, events, cmp.Transformer("nil", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
				t.Error(diff)
			}
			if c.Expected.Satisfied("u") != (created == 0) {
				t.Errorf("with %d created settled is %t", created, created != 0)
			}
			c.Expected.CreationsObserved("u", created)
			if !c.Expected.Satisfied("u") {
				t.Error("a creation that failed is still expected")
			}
		})
	}
}

func TestDelete(t *testing.T) {
	boom := errors.New("boom")
	a, b, gone := pod("a", "u", corev1.PodRunning), pod("b", "u", corev1.PodRunning), pod("gone", "u", corev1.PodRunning)
	c, sent := control(func(string, int) error { return nil }, a, b)
	deleted, err := c.Delete(context.Background(), []*corev1.Pod{a, gone})
	if err != nil || len(deleted) != 2 {
		t.Errorf("deleted %v, %v", deleted, err)
	}
	if diff := cmp.Diff([]string{"Normal SuccessfulDelete Deleted pod: a"}, sent()); diff != "" {
		t.Error(diff)
	}
	c.Expected.DeletionObserved("u", "a")
	if !c.Expected.Satisfied("u") {
		t.Error("the end of a pod that was gone is still expected")
	}
	c.BeforeDelete = func(context.Context, *corev1.Pod) error { return boom }
	deleted, err = c.Delete(context.Background(), []*corev1.Pod{b})
	if !errors.Is(err, boom) || len(deleted) != 0 || !c.Expected.Satisfied("u") {
		t.Errorf("deleted %v, %v", deleted, err)
	}
	if diff := cmp.Diff([]string{"Warning FailedDelete Error deleting: boom"}, sent()); diff != "" {
		t.Error(diff)
	}
	if err := c.Client.Get(context.Background(), client.ObjectKeyFromObject(b), &corev1.Pod{}); err != nil {
		t.Errorf("a pod was deleted although what comes before failed: %v", err)
	}
}

func TestPodsAdoptsWhatIsWorthIt(t *testing.T) {
	c, _ := control(func(string, int) error { return nil }, set(), pod("mine", "u", corev1.PodFailed), pod("others", "v", corev1.PodRunning),
		pod("orphan", "", corev1.PodRunning), pod("finished", "", corev1.PodFailed))
	claimer := &claim.Claimer{Client: c.Client, Live: c.Client, Owner: set(), GVK: kind, Selector: labels.SelectorFromSet(labels.Set{"app": "a"})}
	pods, err := Pods(context.Background(), claimer, func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning })
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range pods {
		names = append(names, p.Name)
	}
	if diff := cmp.Diff([]string{"mine", "orphan"}, names); diff != "" {
		t.Error(diff)
	}
	adopted := &corev1.Pod{}
	if err := c.Client.Get(context.Background(), client.ObjectKey{Namespace: "ns", Name: "orphan"}, adopted); err != nil || !metav1.IsControlledBy(adopted, set()) {
		t.Errorf("owners %v, %v", adopted.OwnerReferences, err)
	}
}

func TestNewPod(t *testing.T) {
	s := set()
	p := NewPod(s, kind, &s.Spec.Template)
	want := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: "web-", Namespace: "ns",
			Labels: map[string]string{"app": "a"}, Annotations: map[string]string{"x": "y"}, Finalizers: []string{"f/f"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web", UID: "u", Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
			}},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	p.Labels["app"] = "changed"
	if s.Spec.Template.Labels["app"] != "a" {
		t.Error("the pod shares its labels with the template")
	}
}
