package cluster_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"
	testingclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster"
)

// small starts a control plane in a new directory, changed by change, and returns it, a client,
// and a function that stops it and removes the directory.
func small(change func(*v1alpha1.Cluster), opts ...cluster.Option) (*cluster.Cluster, client.Client, func()) {
	dir, err := os.MkdirTemp("", "coracle-")
	check(err)
	none := int32(0)
	config := &v1alpha1.Cluster{DataDir: dir, Listen: "127.0.0.1:0", Nodes: &none, Storage: v1alpha1.Storage{UnsafeNoFsync: true}}
	change(config)
	c, err := cluster.Start(context.Background(), config, opts...)
	check(err)
	kube, err := client.New(c.RESTConfig(), client.Options{Scheme: c.Scheme()})
	check(err)
	return c, kube, func() {
		c.Stop()
		os.RemoveAll(dir)
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// until waits until a condition holds, at most half a minute.
func until(holds func(context.Context) (bool, error)) {
	check(wait.PollUntilContextTimeout(context.Background(), 10*time.Millisecond, 30*time.Second, true, holds))
}

func template(labels map[string]string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web:v1"}}}}
}

// Simulated nodes run pods without containers, so Deployments become available.
func ExampleCluster_WaitForNodes() {
	c, kube, stop := small(func(config *v1alpha1.Cluster) { config.SimulatedNodes = 3 })
	defer stop()
	ctx := context.Background()
	check(c.WaitForNodes(ctx))

	labels, replicas := map[string]string{"app": "web"}, int32(5)
	web := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: appsv1.DeploymentSpec{
		Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template(labels),
	}}
	check(kube.Create(ctx, web))
	until(func(ctx context.Context) (bool, error) {
		err := kube.Get(ctx, client.ObjectKeyFromObject(web), web)
		return web.Status.AvailableReplicas == replicas, err
	})
	fmt.Println(web.Status.AvailableReplicas, "available")
	// Output: 5 available
}

// A controller of one's own runs on the cluster's manager and shares its cache.
func ExampleCluster_Manager() {
	c, kube, stop := small(func(*v1alpha1.Cluster) {})
	defer stop()
	seen := make(chan string, 1)
	err := ctrl.NewControllerManagedBy(c.Manager()).Named("greeter").For(&corev1.ConfigMap{}).
		Complete(reconcile.Func(func(_ context.Context, r reconcile.Request) (reconcile.Result, error) {
			if r.Name == "greeting" {
				seen <- r.String()
			}
			return reconcile.Result{}, nil
		}))
	check(err)
	check(kube.Create(context.Background(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "greeting"}}))
	fmt.Println(<-seen)
	// Output: default/greeting
}

// boats defines Boats, which have a number of seats.
func boats(kube client.Client) {
	whole := apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{
		"spec": {Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"seats": {Type: "integer"}}},
	}}
	check(kube.Create(context.Background(), &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "boats.example.com"}, Spec: apiextensionsv1.CustomResourceDefinitionSpec{
		Group: "example.com", Scope: apiextensionsv1.NamespaceScoped, Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "boats", Kind: "Boat"},
		Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{
			OpenAPIV3Schema: &whole,
		}}},
	}}))
}

// The scheme has CustomResourceDefinitions; custom resources need types of their own, or none.
func ExampleCluster_Scheme() {
	_, kube, stop := small(func(*v1alpha1.Cluster) {})
	defer stop()
	boats(kube)
	boat := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/v1", "kind": "Boat", "spec": map[string]any{"seats": int64(1)}}}
	boat.SetNamespace("default")
	boat.SetName("coracle")
	until(func(ctx context.Context) (bool, error) { return kube.Create(ctx, boat) == nil, nil }) // it is served in a moment
	fmt.Println(boat.GetKind(), boat.GetName(), boat.GetUID() != "")
	// Output: Boat coracle true
}

// Boat is a custom resource with a type of its own. Generators write what its
// methods do here, and AddToScheme.
type Boat struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              struct {
		Seats int32 `json:"seats"`
	} `json:"spec"`
}

func (b *Boat) DeepCopyObject() runtime.Object {
	out := *b
	b.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	return &out
}

func addBoats(s *runtime.Scheme) error {
	v1 := schema.GroupVersion{Group: "example.com", Version: "v1"}
	s.AddKnownTypes(v1, &Boat{})
	metav1.AddToGroupVersion(s, v1)
	return nil
}

// Clients know the types that an operator adds.
func ExampleWithTypes() {
	c, kube, stop := small(func(*v1alpha1.Cluster) {}, cluster.WithTypes(addBoats))
	defer stop()
	boats(kube)
	boat := &Boat{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "coracle"}}
	boat.Spec.Seats = 1
	until(func(ctx context.Context) (bool, error) { return kube.Create(ctx, boat) == nil, nil })
	stored := boat.DeepCopyObject().(*Boat)
	stored.Spec.Seats = 2
	check(c.Manager().GetClient().Update(context.Background(), stored))
	check(kube.Get(context.Background(), client.ObjectKeyFromObject(boat), stored))
	fmt.Println(stored.Name, stored.Spec.Seats, stored.UID != "")
	// Output: coracle 2 true
}

// Admission webhooks are reached by URL, on loopback too.
func ExampleStart_webhook() {
	_, kube, stop := small(func(*v1alpha1.Cluster) {})
	defer stop()
	hook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		check(json.NewDecoder(r.Body).Decode(&review))
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: false, Result: &metav1.Status{Message: "no more ConfigMaps"}}
		check(json.NewEncoder(w).Encode(review))
	}))
	defer hook.Close()
	ctx := context.Background()
	none := admissionregistrationv1.SideEffectClassNone
	check(kube.Create(ctx, &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "full"}, Webhooks: []admissionregistrationv1.ValidatingWebhook{{
		Name: "full.example.com", SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
		ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: &hook.URL, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw})},
		Rules: []admissionregistrationv1.RuleWithOperations{{Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
			Rule: admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}}}},
	}}}))
	var err error
	until(func(ctx context.Context) (bool, error) { // it is called in a moment
		err = kube.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", GenerateName: "one-"}}, client.DryRunAll)
		return err != nil, nil
	})
	fmt.Println(err)
	// Output: admission webhook "full.example.com" denied the request: no more ConfigMaps
}

// With a clock of the test, an hour passes at once.
func ExampleWithClock() {
	clock := testingclock.NewFakeClock(time.Now())
	c, kube, stop := small(func(config *v1alpha1.Cluster) { config.SimulatedNodes = 1 }, cluster.WithClock(clock))
	defer stop()
	ctx := context.Background()
	hourly := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hourly"}, Spec: batchv1.CronJobSpec{
		Schedule: "@hourly", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template(nil)}},
	}}
	hourly.Spec.JobTemplate.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	check(kube.Create(ctx, hourly))
	jobs := &batchv1.JobList{}
	until(func(ctx context.Context) (bool, error) {
		if c.Idle() {
			clock.Step(time.Hour)
		}
		err := kube.List(ctx, jobs)
		return len(jobs.Items) > 0, err
	})
	fmt.Println(jobs.Items[0].OwnerReferences[0].Name)
	// Output: hourly
}

// Explain answers why a pod is pending, as the event FailedScheduling does, in parts.
func ExampleCluster_Explain() {
	c, kube, stop := small(func(config *v1alpha1.Cluster) { config.SimulatedNodes = 2 })
	defer stop()
	ctx := context.Background()
	check(c.WaitForNodes(ctx))
	huge := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "huge"}, Spec: template(nil).Spec}
	huge.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1000")}
	check(kube.Create(ctx, huge))
	var why cluster.Explanation
	until(func(ctx context.Context) (bool, error) {
		var err error
		why, err = c.Explain(ctx, client.ObjectKeyFromObject(huge))
		return len(why.Reasons) == 1, err // a node may have its first taints for a moment
	})
	for _, r := range why.Reasons {
		fmt.Printf("%s: %s on %d nodes\n", r.Plugin, r.Text, r.Count)
	}
	// Output: NodeResourcesFit: Insufficient cpu on 2 nodes
}

// Any number of clusters run side by side in a process.
func ExampleStart_several() {
	_, one, stopOne := small(func(*v1alpha1.Cluster) {})
	defer stopOne()
	_, two, stopTwo := small(func(*v1alpha1.Cluster) {})
	defer stopTwo()
	ctx := context.Background()
	check(one.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "only-one"}}))
	err := two.Get(ctx, types.NamespacedName{Name: "only-one"}, &corev1.Namespace{})
	fmt.Println(err)
	// Output: namespaces "only-one" not found
}

// Without controllers and scheduler a cluster is an API server, as with envtest, for suites
// that write statuses themselves.
func ExampleStart_withoutControllers() {
	c, _, stop := small(func(config *v1alpha1.Cluster) {
		off := false
		config.Controllers.Enabled, config.Scheduler.Enabled = []string{}, &off
	})
	defer stop()
	_, err := c.Explain(context.Background(), types.NamespacedName{Namespace: "default", Name: "none"})
	fmt.Println(err)
	until(func(context.Context) (bool, error) { return len(c.Controllers()) == 4, nil }) // they have begun
	for _, controller := range c.Controllers() {                                         // upstream's kube-apiserver has these, too
		fmt.Println(controller.Name)
	}
	// Output:
	// explaining pod default/none: pods "none" not found
	// cluster_authentication_trust_controller
	// ipallocator-repair-controller
	// legacy_token_tracking_controller
	// portallocator-repair-controller
}

// A cluster goes on with the data of its directory.
func ExampleCluster_Stop() {
	dir, err := os.MkdirTemp("", "coracle-")
	check(err)
	defer os.RemoveAll(dir)
	_, kube, stop := small(func(config *v1alpha1.Cluster) { config.DataDir = filepath.Join(dir, "data") })
	ctx := context.Background()
	check(kube.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kept"}}))
	stop()

	_, kube, stop = small(func(config *v1alpha1.Cluster) { config.DataDir = filepath.Join(dir, "data") })
	defer stop()
	kept := &corev1.Namespace{}
	check(kube.Get(ctx, types.NamespacedName{Name: "kept"}, kept))
	fmt.Println(kept.Name, kept.Status.Phase)
	// Output: kept Active
}

// Other programs use the kubeconfig, over TLS.
func ExampleCluster_Kubeconfig() {
	c, _, stop := small(func(*v1alpha1.Cluster) {})
	defer stop()
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	check(err)
	kube, err := client.New(config, client.Options{Scheme: c.Scheme()})
	check(err)
	namespaces := &corev1.NamespaceList{}
	check(kube.List(context.Background(), namespaces))
	fmt.Println(config.Host == c.URL(), len(namespaces.Items) > 0)
	// Output: true true
}

// Idle lets a test wait until controllers have no work that is due.
func ExampleCluster_Idle() {
	c, kube, stop := small(func(config *v1alpha1.Cluster) { config.SimulatedNodes = 1 })
	defer stop()
	ctx := context.Background()
	team := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team"}}
	check(kube.Create(ctx, team))
	account := &corev1.ServiceAccount{}
	until(func(ctx context.Context) (bool, error) {
		err := kube.Get(ctx, types.NamespacedName{Namespace: "team", Name: "default"}, account)
		return err == nil && c.Idle(), client.IgnoreNotFound(err)
	})
	fmt.Println(account.Name)
	// Output: default
}

// WithProgress shows a user what a start waits for.
func ExampleWithProgress() {
	first := make(chan string, 100)
	_, _, stop := small(func(*v1alpha1.Cluster) {}, cluster.WithProgress(func(step string) { first <- step }))
	defer stop()
	fmt.Println(<-first)
	fmt.Println(<-first)
	// Output:
	// starting etcd and the API server
	// starting controllers and nodes
}

// Failed yields the error of a part that ended by itself. Stop closes it.
func ExampleCluster_Failed() {
	c, _, stop := small(func(*v1alpha1.Cluster) {})
	stop()
	err, failed := <-c.Failed()
	fmt.Println(err, failed)
	// Output: <nil> false
}
