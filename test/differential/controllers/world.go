package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// compared returns the resources whose objects are compared. Those without a
// namespace belong to the script that their label names.
func compared() []schema.GroupVersionResource {
	var list []schema.GroupVersionResource
	for _, text := range strings.Fields(`/v1/pods /v1/services /v1/endpoints /v1/configmaps /v1/secrets /v1/serviceaccounts /v1/replicationcontrollers /v1/resourcequotas
		/v1/persistentvolumeclaims /v1/events /v1/namespaces /v1/nodes apps/v1/deployments apps/v1/replicasets apps/v1/statefulsets apps/v1/daemonsets apps/v1/controllerrevisions batch/v1/jobs
		batch/v1/cronjobs policy/v1/poddisruptionbudgets autoscaling/v2/horizontalpodautoscalers discovery.k8s.io/v1/endpointslices
		rbac.authorization.k8s.io/v1/clusterroles certificates.k8s.io/v1/certificatesigningrequests`) {
		parts := strings.Split(text, "/")
		list = append(list, schema.GroupVersionResource{Group: parts[0], Version: parts[1], Resource: parts[2]})
	}
	return list
}

// scriptLabel is on objects without a namespace; its value is the script's namespace.
const scriptLabel = "differential"

// scriptOf returns the namespace of the script that an object belongs to.
func scriptOf(u *unstructured.Unstructured) string {
	switch {
	case u.GetNamespace() != "":
		return u.GetNamespace()
	case u.GetKind() == "Namespace":
		return u.GetName()
	}
	return u.GetLabels()[scriptLabel]
}

// world holds the objects of one side, from its watches.
type world struct {
	*side
	client    dynamic.Interface
	informers map[schema.GroupVersionResource]cache.SharedIndexInformer
	pods      workqueue.TypedRateLimitingInterface[string]

	mu      sync.Mutex
	touched map[string]time.Time
}

func newWorld(ctx context.Context, s *side) (*world, error) {
	client, err := dynamic.NewForConfig(s.config)
	if err != nil {
		return nil, err
	}
	w := &world{side: s, client: client, informers: map[schema.GroupVersionResource]cache.SharedIndexInformer{}, touched: map[string]time.Time{},
		pods: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](50*time.Millisecond, 2*time.Second))}
	factory := dynamicinformer.NewDynamicSharedInformerFactory(client, 0)
	for _, gvr := range compared() {
		informer := factory.ForResource(gvr).Informer()
		w.informers[gvr] = informer
		note := func(obj any) {
			if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			u := obj.(*unstructured.Unstructured)
			w.touch(scriptOf(u))
			if gvr.Resource == "pods" {
				w.pods.Add(u.GetNamespace() + "/" + u.GetName())
			}
		}
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: note, UpdateFunc: func(_, obj any) { note(obj) }, DeleteFunc: note})
		if err != nil {
			return nil, err
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return w, nil
}

func (w *world) touch(script string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.touched[script] = time.Now()
}

// quiet returns for how long nothing of a script has changed.
func (w *world) quiet(script string) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.touched[script])
}

// objects returns copies of a script's objects.
func (w *world) objects(script string) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, informer := range w.informers {
		_ = cache.ListAll(informer.GetIndexer(), labels.Everything(), func(obj any) {
			if u := obj.(*unstructured.Unstructured); scriptOf(u) == script {
				out = append(out, u.DeepCopy())
			}
		})
	}
	return out
}
