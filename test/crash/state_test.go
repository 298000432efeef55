package crash

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// state holds the objects of a cluster at one time.
type state struct {
	namespaces   []corev1.Namespace
	nodes        []corev1.Node
	pods         []corev1.Pod
	services     []corev1.Service
	endpoints    []corev1.Endpoints
	maps         []corev1.ConfigMap
	secrets      []corev1.Secret
	accounts     []corev1.ServiceAccount
	quotas       []corev1.ResourceQuota
	claims       []corev1.PersistentVolumeClaim
	volumes      []corev1.PersistentVolume
	deployments  []appsv1.Deployment
	replicaSets  []appsv1.ReplicaSet
	statefulSets []appsv1.StatefulSet
	daemonSets   []appsv1.DaemonSet
	revisions    []appsv1.ControllerRevision
	jobs         []batchv1.Job
	cronJobs     []batchv1.CronJob
	budgets      []policyv1.PodDisruptionBudget
	slices       []discoveryv1.EndpointSlice
	addresses    []networkingv1.IPAddress

	// all is everything of every resource in discovery, nil if it was not
	// asked for.
	all []object
}

// object is anything, by its metadata.
type object struct {
	schema.GroupVersionResource
	metav1.PartialObjectMetadata
}

func (o object) String() string {
	return fmt.Sprintf("%s %s/%s", o.GroupVersionResource.GroupResource(), o.Namespace, o.Name)
}

// look reads what a cluster holds.
func look(ctx context.Context, c client.Client) (*state, error) {
	s := &state{}
	if err := list(ctx, c, &corev1.NamespaceList{}, func(l *corev1.NamespaceList) { s.namespaces = l.Items }); err != nil {
		return nil, err
	}
	for _, read := range []error{
		list(ctx, c, &corev1.NodeList{}, func(l *corev1.NodeList) { s.nodes = l.Items }),
		list(ctx, c, &corev1.PodList{}, func(l *corev1.PodList) { s.pods = l.Items }),
		list(ctx, c, &corev1.ServiceList{}, func(l *corev1.ServiceList) { s.services = l.Items }),
		list(ctx, c, &corev1.EndpointsList{}, func(l *corev1.EndpointsList) { s.endpoints = l.Items }),
		list(ctx, c, &corev1.ConfigMapList{}, func(l *corev1.ConfigMapList) { s.maps = l.Items }),
		list(ctx, c, &corev1.SecretList{}, func(l *corev1.SecretList) { s.secrets = l.Items }),
		list(ctx, c, &corev1.ServiceAccountList{}, func(l *corev1.ServiceAccountList) { s.accounts = l.Items }),
		list(ctx, c, &corev1.ResourceQuotaList{}, func(l *corev1.ResourceQuotaList) { s.quotas = l.Items }),
		list(ctx, c, &corev1.PersistentVolumeClaimList{}, func(l *corev1.PersistentVolumeClaimList) { s.claims = l.Items }),
		list(ctx, c, &corev1.PersistentVolumeList{}, func(l *corev1.PersistentVolumeList) { s.volumes = l.Items }),
		list(ctx, c, &appsv1.DeploymentList{}, func(l *appsv1.DeploymentList) { s.deployments = l.Items }),
		list(ctx, c, &appsv1.ReplicaSetList{}, func(l *appsv1.ReplicaSetList) { s.replicaSets = l.Items }),
		list(ctx, c, &appsv1.StatefulSetList{}, func(l *appsv1.StatefulSetList) { s.statefulSets = l.Items }),
		list(ctx, c, &appsv1.DaemonSetList{}, func(l *appsv1.DaemonSetList) { s.daemonSets = l.Items }),
		list(ctx, c, &appsv1.ControllerRevisionList{}, func(l *appsv1.ControllerRevisionList) { s.revisions = l.Items }),
		list(ctx, c, &batchv1.JobList{}, func(l *batchv1.JobList) { s.jobs = l.Items }),
		list(ctx, c, &batchv1.CronJobList{}, func(l *batchv1.CronJobList) { s.cronJobs = l.Items }),
		list(ctx, c, &policyv1.PodDisruptionBudgetList{}, func(l *policyv1.PodDisruptionBudgetList) { s.budgets = l.Items }),
		list(ctx, c, &discoveryv1.EndpointSliceList{}, func(l *discoveryv1.EndpointSliceList) { s.slices = l.Items }),
		list(ctx, c, &networkingv1.IPAddressList{}, func(l *networkingv1.IPAddressList) { s.addresses = l.Items }),
	} {
		if read != nil {
			return nil, read
		}
	}
	return s, nil
}

func list[L client.ObjectList](ctx context.Context, c client.Client, l L, keep func(L)) error {
	if err := c.List(ctx, l); err != nil {
		return fmt.Errorf("listing %T: %w", l, err)
	}
	keep(l)
	return nil
}

// everything lists the metadata of all objects of every resource in discovery
// that can be listed.
func everything(ctx context.Context, l *life) ([]object, error) {
	config := rest.CopyConfig(l.config)
	found, err := discovery.NewDiscoveryClientForConfigAndClient(config, l.http)
	if err != nil {
		return nil, fmt.Errorf("discovering: %w", err)
	}
	lists, err := found.ServerPreferredResources()
	if err != nil {
		return nil, fmt.Errorf("discovering: %w", err)
	}
	reader, err := metadata.NewForConfigAndClient(config, l.http)
	if err != nil {
		return nil, fmt.Errorf("listing everything: %w", err)
	}
	var all []object
	for _, group := range lists {
		gv, err := schema.ParseGroupVersion(group.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("discovering: %w", err)
		}
		for _, r := range group.APIResources {
			if strings.Contains(r.Name, "/") || !has(r.Verbs, "list") || r.Name == "componentstatuses" {
				continue
			}
			gvr := gv.WithResource(r.Name)
			items, err := reader.Resource(gvr).List(ctx, metav1.ListOptions{})
			if err != nil {
				return nil, fmt.Errorf("listing %s: %w", gvr, err)
			}
			for i := range items.Items {
				all = append(all, object{gvr, items.Items[i]})
			}
		}
	}
	return all, nil
}

func has(all []string, one string) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}

// find returns the object with that name, nil without one.
func find[T any, O interface {
	*T
	client.Object
}](all []T, namespace, name string) O {
	for i := range all {
		if o := O(&all[i]); o.GetNamespace() == namespace && o.GetName() == name {
			return o
		}
	}
	return nil
}

// ownedBy returns the objects whose controller has that UID.
func ownedBy[T any, O interface {
	*T
	client.Object
}](all []T, uid types.UID) []O {
	var owned []O
	for i := range all {
		if ref := metav1.GetControllerOf(O(&all[i])); ref != nil && ref.UID == uid {
			owned = append(owned, O(&all[i]))
		}
	}
	return owned
}

// in counts the objects of a namespace.
func in[T any, O interface {
	*T
	client.Object
}](all []T, namespace string) (n int) {
	for i := range all {
		if O(&all[i]).GetNamespace() == namespace {
			n++
		}
	}
	return n
}
