package all

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apiserver/etcd"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/storage"
)

// world is the resources over a real etcd.
type world struct {
	t     *testing.T
	etcd  *etcd.Server
	env   registry.Env
	built map[string]map[string]rest.Storage
}

func newWorld(t *testing.T, change func(*registry.Env)) *world {
	t.Helper()
	server, err := etcd.Start(context.Background(), etcd.Config{Dir: t.TempDir(), UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	scheme := apis.NewScheme()
	getter := storage.NewGetter(server.NewClient, scheme, serializer.NewCodecFactory(scheme), func(err error) { t.Error(err) })
	w := &world{t: t, etcd: server, built: map[string]map[string]rest.Storage{}}
	w.env = registry.Env{Scheme: scheme, RESTOptions: getter, Clock: clock.RealClock{},
		Services:     registry.ServiceNetwork{CIDR: "10.96.0.0/24", NodePortBase: 30000, NodePortSize: 2768},
		APIAudiences: []string{"api"}, ExtendTokens: true,
	}
	w.env.Store = func(gr schema.GroupResource) (*genericregistry.Store, error) {
		return registry.StoreOf(w.storage(gr.String(), "")), nil
	}
	if change != nil {
		change(&w.env)
	}
	t.Cleanup(func() {
		for _, storages := range w.built {
			for _, st := range storages {
				st.Destroy()
			}
		}
		getter.Stop()
		server.Stop()
	})
	return w
}

// storage returns the storage of a resource, named as schema.GroupResource prints it.
func (w *world) storage(resource, sub string) rest.Storage {
	w.t.Helper()
	if w.built[resource] == nil {
		for _, r := range Default() {
			if gr := r.GVR().GroupResource(); gr.String() == resource {
				storages, err := r.Build(w.env)
				if err != nil {
					w.t.Fatal(err)
				}
				w.built[resource] = storages
			}
		}
		if store := registry.StoreOf(w.built[resource][""]); store != nil {
			if waiter, ok := store.Storage.Storage.(storage.Waiter); ok {
				if err := waiter.Wait(context.Background()); err != nil {
					w.t.Fatal(err)
				}
			}
		}
	}
	return w.built[resource][sub]
}

func in(namespace, group string) context.Context {
	ctx := request.WithNamespace(context.Background(), namespace)
	return request.WithRequestInfo(ctx, &request.RequestInfo{APIGroup: group, APIVersion: "v1"})
}

func (w *world) create(resource string, obj metav1.Object) (runtime.Object, error) {
	w.t.Helper()
	w.env.Scheme.Default(obj.(runtime.Object))
	return w.storage(resource, "").(rest.Creater).Create(in(obj.GetNamespace(), ""), obj.(runtime.Object), rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
}

func (w *world) mustCreate(resource string, obj metav1.Object) runtime.Object {
	w.t.Helper()
	out, err := w.create(resource, obj)
	if err != nil {
		w.t.Fatalf("creating %s %s: %v", resource, obj.GetName(), err)
	}
	return out
}

func (w *world) createSub(resource, sub, namespace, name string, obj runtime.Object) (runtime.Object, error) {
	return w.storage(resource, sub).(rest.NamedCreater).Create(in(namespace, ""), name, obj, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
}

// update applies change to what is stored through the resource or a subresource.
func (w *world) update(resource, sub, namespace, name string, change func(runtime.Object)) (runtime.Object, error) {
	info := rest.DefaultUpdatedObjectInfo(nil, func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		obj := old.DeepCopyObject()
		change(obj)
		return obj, nil
	})
	obj, _, err := w.storage(resource, sub).(rest.Updater).Update(in(namespace, ""), name, info, rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	return obj, err
}

func (w *world) delete(resource, namespace, name string, o *metav1.DeleteOptions) (runtime.Object, bool, error) {
	return w.storage(resource, "").(rest.GracefulDeleter).Delete(in(namespace, ""), name, rest.ValidateAllObjectFunc, o)
}

func (w *world) get(resource, namespace, name string) (runtime.Object, error) {
	return w.storage(resource, "").(rest.Getter).Get(in(namespace, ""), name, &metav1.GetOptions{})
}

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: "default"}
}

func newPod(name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", Labels: map[string]string{"app": "a"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
}

func TestNamespaceGoesWhenFinalized(t *testing.T) {
	w := newWorld(t, nil)
	ns := w.mustCreate("namespaces", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "x"}}).(*corev1.Namespace)
	if ns.Labels[corev1.LabelMetadataName] != "x" || len(ns.Spec.Finalizers) != 1 || ns.Status.Phase != corev1.NamespaceActive {
		t.Fatalf("created %+v", ns)
	}
	for range 2 {
		obj, gone, err := w.delete("namespaces", "", "x", &metav1.DeleteOptions{})
		if err != nil || gone || obj.(*corev1.Namespace).Status.Phase != corev1.NamespaceTerminating || obj.(*corev1.Namespace).DeletionTimestamp == nil {
			t.Fatalf("deleting: %v, gone %v, %v", obj, gone, err)
		}
	}
	if _, err := w.update("namespaces", "status", "", "x", func(o runtime.Object) {
		o.(*corev1.Namespace).Status.Conditions = []corev1.NamespaceCondition{{Type: corev1.NamespaceContentRemaining, Status: corev1.ConditionTrue}}
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.get("namespaces", "", "x"); err != nil {
		t.Fatalf("a status update removed it: %v", err)
	}
	if _, err := w.update("namespaces", "finalize", "", "x", func(o runtime.Object) { o.(*corev1.Namespace).Spec.Finalizers = nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := w.get("namespaces", "", "x"); !apierrors.IsNotFound(err) {
		t.Fatalf("after the last finalizer: %v", err)
	}
}

func TestPodLife(t *testing.T) {
	w := newWorld(t, nil)
	p := w.mustCreate("pods", newPod("p")).(*corev1.Pod)
	if p.Status.Phase != corev1.PodPending || p.Status.QOSClass != corev1.PodQOSBestEffort || p.Generation != 1 {
		t.Fatalf("created %+v", p)
	}
	bind := func(node string) error {
		_, err := w.createSub("pods", "binding", "default", "p", &corev1.Binding{ObjectMeta: meta("p"), Target: corev1.ObjectReference{Kind: "Node", Name: node}})
		return err
	}
	if err := bind("n1"); err != nil {
		t.Fatal(err)
	}
	if err := bind("n2"); !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `pod p is already assigned to node "n1"`) {
		t.Fatalf("binding twice: %v", err)
	}
	obj, gone, err := w.delete("pods", "default", "p", &metav1.DeleteOptions{})
	if err != nil || gone {
		t.Fatalf("deleting a bound pod: gone %v, %v", gone, err)
	}
	if got := obj.(*corev1.Pod); ptr.Deref(got.DeletionGracePeriodSeconds, 0) != 30 || got.DeletionTimestamp == nil {
		t.Fatalf("grace of %+v", got.ObjectMeta)
	}
	if _, gone, err = w.delete("pods", "default", "p", metav1.NewDeleteOptions(0)); err != nil || !gone {
		t.Fatalf("the agent's delete: gone %v, %v", gone, err)
	}
	w.mustCreate("pods", newPod("unbound"))
	if _, gone, err = w.delete("pods", "default", "unbound", &metav1.DeleteOptions{}); err != nil || !gone {
		t.Fatalf("deleting an unbound pod: gone %v, %v", gone, err)
	}
}

func TestPodIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	p := newPod("p")
	p.Spec.Containers[0].Image = ""
	if _, err := w.create("pods", p); err == nil || !strings.Contains(err.Error(), "spec.containers[0].image: Required value") {
		t.Fatalf("got %v", err)
	}
	if _, err := w.get("pods", "default", "p"); !apierrors.IsNotFound(err) {
		t.Fatalf("it was stored: %v", err)
	}
}

func TestEphemeralContainersAndResize(t *testing.T) {
	w := newWorld(t, nil)
	w.mustCreate("pods", newPod("p"))
	obj, err := w.update("pods", "ephemeralcontainers", "default", "p", func(o runtime.Object) {
		p := o.(*corev1.Pod)
		p.Labels["not"] = "changed"
		p.Spec.Containers[0].Image = "other"
		p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: "debug", Image: "d", ImagePullPolicy: corev1.PullAlways, TerminationMessagePolicy: corev1.TerminationMessageReadFile, TerminationMessagePath: "/dev/termination-log"}}}
	})
	if err != nil {
		t.Fatal(err)
	}
	p := obj.(*corev1.Pod)
	if len(p.Spec.EphemeralContainers) != 1 || p.Spec.Containers[0].Image != "i" || p.Labels["not"] != "" || p.Generation != 2 {
		t.Fatalf("got %+v", p)
	}
}

func TestEvictionHonoursBudgets(t *testing.T) {
	w := newWorld(t, nil)
	w.mustCreate("poddisruptionbudgets.policy", &policyv1.PodDisruptionBudget{ObjectMeta: meta("b"), Spec: policyv1.PodDisruptionBudgetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}}}})
	for _, name := range []string{"p", "q"} {
		w.mustCreate("pods", newPod(name))
		if _, err := w.createSub("pods", "binding", "default", name, &corev1.Binding{ObjectMeta: meta(name), Target: corev1.ObjectReference{Kind: "Node", Name: "n"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.update("pods", "status", "default", name, func(o runtime.Object) {
			s := &o.(*corev1.Pod).Status
			s.Phase, s.Conditions = corev1.PodRunning, append(s.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue})
		}); err != nil {
			t.Fatal(err)
		}
	}
	evict := func(name string) error {
		_, err := w.createSub("pods", "eviction", "default", name, &policyv1.Eviction{ObjectMeta: meta(name)})
		return err
	}
	if err := evict("p"); !apierrors.IsTooManyRequests(err) || !apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause) {
		t.Fatalf("before the budget was observed: %v", err)
	}
	if _, err := w.update("poddisruptionbudgets.policy", "status", "default", "b", func(o runtime.Object) {
		b := o.(*policyv1.PodDisruptionBudget)
		b.Status.ObservedGeneration, b.Status.DisruptionsAllowed, b.Status.CurrentHealthy, b.Status.DesiredHealthy = b.Generation, 1, 2, 1
	}); err != nil {
		t.Fatal(err)
	}
	if err := evict("p"); err != nil {
		t.Fatalf("evicting within the budget: %v", err)
	}
	obj, err := w.get("pods", "default", "p")
	if err != nil || obj.(*corev1.Pod).DeletionTimestamp == nil {
		t.Fatalf("the evicted pod: %v %v", obj, err)
	}
	if err := evict("q"); !apierrors.IsTooManyRequests(err) {
		t.Fatalf("beyond the budget: %v", err)
	}
	if b, _ := w.get("poddisruptionbudgets.policy", "default", "b"); len(b.(*policyv1.PodDisruptionBudget).Status.DisruptedPods) != 1 {
		t.Fatalf("the budget does not know of the eviction: %+v", b)
	}
}

func TestServicesGetAddresses(t *testing.T) {
	w := newWorld(t, nil)
	service := func(name string) *corev1.Service {
		return &corev1.Service{ObjectMeta: meta(name), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Selector: map[string]string{"a": "b"},
			Ports: []corev1.ServicePort{{Port: 80}}}}
	}
	first := service("kubernetes")
	first.Spec.ClusterIP = "10.96.0.1"
	w.mustCreate("services", first)
	got := w.mustCreate("services", service("s")).(*corev1.Service)
	if got.Spec.ClusterIP == "" || got.Spec.ClusterIP == "10.96.0.1" || got.Spec.Ports[0].NodePort == 0 {
		t.Fatalf("created %+v", got.Spec)
	}
	// A create that validation refuses gives its address back.
	refused := service("refused")
	refused.Spec.ClusterIP, refused.Spec.Ports[0].Port = "10.96.0.7", 0
	if _, err := w.create("services", refused); !apierrors.IsInvalid(err) {
		t.Fatalf("got %v", err)
	}
	again := service("again")
	again.Spec.ClusterIP = "10.96.0.7" // of those not given automatically
	w.mustCreate("services", again)
	// So does a delete, and an update may leave out what was allocated.
	if _, err := w.update("services", "", "default", "s", func(o runtime.Object) {
		s := o.(*corev1.Service)
		s.Spec.ClusterIP, s.Spec.ClusterIPs, s.Spec.IPFamilies, s.Spec.IPFamilyPolicy, s.Spec.Ports[0].NodePort = "", nil, nil, nil, 0
	}); err != nil {
		t.Fatal(err)
	}
	if now, _ := w.get("services", "default", "s"); now.(*corev1.Service).Spec.ClusterIP != got.Spec.ClusterIP {
		t.Fatalf("the address changed: %+v", now)
	}
	if _, _, err := w.delete("services", "default", "again", nil); err != nil {
		t.Fatal(err)
	}
	again = service("again")
	again.Spec.ClusterIP = "10.96.0.7" // of those not given automatically
	w.mustCreate("services", again)
}

// TestAllocationsAreRebuilt uses a second server process on the same etcd.
func TestAllocationsAreRebuilt(t *testing.T) {
	w := newWorld(t, nil)
	w.mustCreate("services", &corev1.Service{ObjectMeta: meta("s"), Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.9", Ports: []corev1.ServicePort{{Port: 80}}}})
	for _, st := range w.built["services"] {
		st.Destroy()
	}
	delete(w.built, "services")
	_, err := w.create("services", &corev1.Service{ObjectMeta: meta("t"), Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.9", Ports: []corev1.ServicePort{{Port: 80}}}})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "provided IP is already allocated") {
		t.Fatalf("got %v", err)
	}
}

func TestEventsOfBothGroupsAreTheSame(t *testing.T) {
	w := newWorld(t, nil)
	w.mustCreate("events", &corev1.Event{ObjectMeta: meta("e"), InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "p", Namespace: "default"},
		Reason: "Started", Message: "m", Type: "Normal", Count: 2})
	newer := w.storage("events.events.k8s.io", "")
	obj, err := newer.(rest.Getter).Get(in("default", eventsv1.GroupName), "e", &metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	converted, err := w.env.Scheme.ConvertToVersion(obj, eventsv1.SchemeGroupVersion)
	if err != nil {
		t.Fatal(err)
	}
	e := converted.(*eventsv1.Event)
	if e.Note != "m" || e.Regarding.Name != "p" || e.DeprecatedCount != 2 {
		t.Fatalf("got %+v", e)
	}
	list, err := newer.(rest.Lister).List(in("default", eventsv1.GroupName), nil)
	if err != nil {
		t.Fatal(err)
	}
	if l, err := w.env.Scheme.ConvertToVersion(list, eventsv1.SchemeGroupVersion); err != nil || len(l.(*eventsv1.EventList).Items) != 1 {
		t.Fatalf("listing: %v, %v", l, err)
	}
	// The newer group asks for more.
	_, err = newer.(rest.Creater).Create(in("default", eventsv1.GroupName), &corev1.Event{ObjectMeta: meta("f"), InvolvedObject: corev1.ObjectReference{Namespace: "default"}},
		rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "eventTime: Required value") {
		t.Fatalf("got %v", err)
	}
}

// nothing may be granted.
type nothing struct{ registry.EscalationChecker }

func (nothing) CheckRole(_ context.Context, r *rbacv1.Role) error {
	return apierrors.NewForbidden(rbacv1.Resource("roles"), r.Namespace+"/"+r.Name, errors.New("no"))
}

func TestRolesAreGuarded(t *testing.T) {
	w := newWorld(t, func(env *registry.Env) { env.Escalation = nothing{} })
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}}}}
	_, err := w.storage("roles.rbac.authorization.k8s.io", "").(rest.Creater).Create(in("default", ""), role, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "default/r") {
		t.Fatalf("creating: %v", err)
	}
	store := registry.StoreOf(w.storage("roles.rbac.authorization.k8s.io", ""))
	if _, err := store.Create(in("default", ""), role, rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.update("roles.rbac.authorization.k8s.io", "", "default", "r", func(o runtime.Object) { o.(*rbacv1.Role).Finalizers = []string{"example.com/x"} }); err != nil {
		t.Fatalf("changing a finalizer: %v", err)
	}
	if _, err := w.update("roles.rbac.authorization.k8s.io", "", "default", "r", func(o runtime.Object) { o.(*rbacv1.Role).Rules[0].Verbs = []string{"*"} }); !apierrors.IsForbidden(err) {
		t.Fatalf("changing a rule: %v", err)
	}
}

// issuer remembers what it was asked for.
type issuer struct{ last registry.TokenRequest }

func (i *issuer) IssueToken(_ context.Context, r registry.TokenRequest) (string, time.Time, error) {
	i.last = r
	return "token", time.Now().Add(time.Duration(r.Seconds) * time.Second), nil
}

func TestTokens(t *testing.T) {
	tokens := &issuer{}
	w := newWorld(t, func(env *registry.Env) { env.Tokens = tokens })
	w.mustCreate("serviceaccounts", &corev1.ServiceAccount{ObjectMeta: meta("sa")})
	p := newPod("p")
	p.Spec.ServiceAccountName = "sa"
	w.mustCreate("pods", p)
	uid := types.UID("")
	request := func(spec authenticationv1.TokenRequestSpec) (*authenticationv1.TokenRequest, error) {
		req := &authenticationv1.TokenRequest{ObjectMeta: metav1.ObjectMeta{UID: uid}, Spec: spec}
		apis.NewScheme().Default(req)
		obj, err := w.createSub("serviceaccounts", "token", "default", "sa", req)
		if err != nil {
			return nil, err
		}
		return obj.(*authenticationv1.TokenRequest), nil
	}
	got, err := request(authenticationv1.TokenRequestSpec{})
	if err != nil || got.Status.Token != "token" || tokens.last.Seconds != 3600 || tokens.last.Audiences[0] != "api" || got.Name != "sa" {
		t.Fatalf("got %+v for %+v, %v", got, tokens.last, err)
	}
	bound := func(name string) *authenticationv1.BoundObjectReference {
		return &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: name}
	}
	if got, err = request(authenticationv1.TokenRequestSpec{BoundObjectRef: bound("p"), ExpirationSeconds: ptr.To(int64(3607))}); err != nil || tokens.last.Pod == nil || tokens.last.WarnAfter != 3607 {
		t.Fatalf("got %+v for %+v, %v", got, tokens.last, err)
	}
	if _, err = request(authenticationv1.TokenRequestSpec{BoundObjectRef: bound("other")}); !apierrors.IsNotFound(err) {
		t.Fatalf("a pod that is not there: %v", err)
	}
	if _, err = request(authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To(int64(60))}); !apierrors.IsInvalid(err) {
		t.Fatalf("a short token: %v", err)
	}
	uid = "another"
	if _, err = request(authenticationv1.TokenRequestSpec{}); !apierrors.IsConflict(err) {
		t.Fatalf("a token of an account that is gone: %v", err)
	}
	if p, ok := w.storage("serviceaccounts", "token").(rest.SubresourceObjectMetaPreserver); !ok || !p.PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate() {
		t.Error("the UID of a request does not arrive")
	}
}

func TestEndpointSliceGeneration(t *testing.T) {
	w := newWorld(t, nil)
	w.mustCreate("endpointslices.discovery.k8s.io", &discoveryv1.EndpointSlice{ObjectMeta: meta("s"), AddressType: discoveryv1.AddressTypeIPv4})
	generation := func(change func(*discoveryv1.EndpointSlice)) int64 {
		obj, err := w.update("endpointslices.discovery.k8s.io", "", "default", "s", func(o runtime.Object) { change(o.(*discoveryv1.EndpointSlice)) })
		if err != nil {
			t.Fatal(err)
		}
		return obj.(*discoveryv1.EndpointSlice).Generation
	}
	if g := generation(func(s *discoveryv1.EndpointSlice) { s.Annotations = map[string]string{"a": "b"} }); g != 1 {
		t.Errorf("an annotation counts: %d", g)
	}
	if g := generation(func(s *discoveryv1.EndpointSlice) {
		s.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}}
	}); g != 2 {
		t.Errorf("endpoints do not count: %d", g)
	}
}
