// Package pod serves core/v1 Pods and everything one can do to a running one.
//
// The API of this package is not stable: see docs/api.md.
package pod

import (
	"context"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"

	"github.com/coracle-k8s/coracle/apis/core"
	corepod "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apis/core/validation/pods"
	corewarnings "github.com/coracle-k8s/coracle/apis/core/warnings"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/connect"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*corev1.Pod]{
		GVK:              corev1.SchemeGroupVersion.WithKind("Pod"),
		Plural:           "pods",
		ShortNames:       []string{"po"},
		Categories:       []string{"all"},
		New:              func() *corev1.Pod { return &corev1.Pod{} },
		NewList:          func() runtime.Object { return &corev1.PodList{} },
		PrepareForCreate: prepareForCreate,
		PrepareForUpdate: prepareForUpdate,
		Validate:         registry.Pure(pods.ValidatePodCreate),
		ValidateUpdate:   registry.PureUpdate(pods.ValidatePodUpdate),
		Warnings: func(_ context.Context, p, old *corev1.Pod) []string {
			if old != nil { // updates of pods seldom come from people
				return nil
			}
			return corewarnings.PodWarnings(p)
		},
		Fields:        selectable,
		IndexedFields: []string{"spec.nodeName"},
		Table:         table(),
		Status: &registry.Status[*corev1.Pod]{
			Prepare:  prepareStatus,
			Validate: registry.PureUpdate(pods.ValidatePodStatusUpdate),
			Warnings: func(_ context.Context, p, _ *corev1.Pod) []string { return corewarnings.PodStatusWarnings(p) },
			Resets:   [][]any{{"metadata", "deletionTimestamp"}, {"metadata", "ownerReferences"}},
		},
		CheckGracefulDelete: checkGracefulDelete,
		ReturnDeleted:       true,
		Subresources:        subresources(),
		Extend:              extend,
	}.Resource()
}

func subresources() []registry.Subresource {
	kind := corev1.SchemeGroupVersion.WithKind
	change, stream := []string{"get", "patch", "update"}, []string{"create", "get"}
	return []registry.Subresource{
		{Name: "attach", GVK: kind("PodAttachOptions"), Verbs: stream},
		{Name: "binding", GVK: kind("Binding"), Verbs: []string{"create"}},
		{Name: "ephemeralcontainers", GVK: kind("Pod"), Verbs: change},
		{Name: "eviction", GVK: policyv1.SchemeGroupVersion.WithKind("Eviction"), Verbs: []string{"create"}},
		{Name: "exec", GVK: kind("PodExecOptions"), Verbs: stream},
		{Name: "log", GVK: kind("Pod"), Verbs: []string{"get"}},
		{Name: "portforward", GVK: kind("PodPortForwardOptions"), Verbs: stream},
		{Name: "proxy", GVK: kind("PodProxyOptions"), Verbs: []string{"create", "delete", "get", "patch", "update"}},
		{Name: "resize", GVK: kind("Pod"), Verbs: change},
	}
}

func extend(env registry.Env, store *genericregistry.Store, storages map[string]rest.Storage) error {
	storages[""] = patient{registry.Wrapped{Store: store}}
	pods := locator{store: store, nodes: env.Nodes}
	for name, stream := range streams() {
		stream.locator, stream.authorizer = pods, env.Authorizer
		storages[name] = stream
	}
	storages["log"] = &logStorage{locator: pods}
	storages["proxy"] = &proxyStorage{locator: pods, transport: connect.DirectTransport()}
	storages["binding"] = &bindingStorage{store: store, clock: env.Clock}
	storages["eviction"] = &evictionStorage{env: env, store: store}
	storages["ephemeralcontainers"], storages["resize"] = newEphemeralContainers(store), newResize(store)
	return nil
}

// streams returns the subresources that open streams, without what they need of the server.
func streams() map[string]*streamStorage {
	return map[string]*streamStorage{
		"attach":      {options: func() runtime.Object { return &corev1.PodAttachOptions{} }, connect: attach},
		"exec":        {options: func() runtime.Object { return &corev1.PodExecOptions{} }, connect: exec},
		"portforward": {options: func() runtime.Object { return &corev1.PodPortForwardOptions{} }, connect: portForward},
	}
}

func prepareForCreate(ctx context.Context, p *corev1.Pod) {
	p.Status = corev1.PodStatus{Phase: corev1.PodPending}
	core.DropDisabledPodFields(&p.Spec, nil)
	core.DropInitContainerAnnotations(p.Annotations)
	if len(p.Spec.SchedulingGates) > 0 {
		corepod.UpdateCondition(&p.Status, corev1.PodCondition{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonSchedulingGated,
			Message: "Scheduling is blocked due to non-empty scheduling gates",
		}, time.Now())
	}
	mergeLabelKeys(p)
	for _, w := range corewarnings.SyncAppArmor(p) {
		warning.AddWarning(ctx, "", w)
	}
	core.SetPodResources(p)
	p.Status.QOSClass = corepod.ComputeQOSClass(p)
}

func prepareForUpdate(_ context.Context, p, old *corev1.Pod) {
	keepResources(p, old)
	core.DropDisabledPodFields(&p.Spec, &old.Spec)
	core.DropInitContainerAnnotations(p.Annotations)
}

// keepResources keeps the resources of the pod as a whole, for clients that do
// not know them.
func keepResources(p, old *corev1.Pod) {
	if p.Spec.Resources == nil {
		p.Spec.Resources = old.Spec.Resources.DeepCopy()
	}
}

// prepareStatus puts back what agents of old versions send without, because they
// do not know of it.
func prepareStatus(_ context.Context, p, old *corev1.Pod) {
	p.DeletionTimestamp, p.OwnerReferences = nil, old.OwnerReferences
	s, was := &p.Status, &old.Status
	if s.QOSClass == "" {
		s.QOSClass = was.QOSClass
	}
	if s.ResourceClaimStatuses == nil {
		s.ResourceClaimStatuses = was.ResourceClaimStatuses
	}
	if s.ExtendedResourceClaimStatus == nil {
		s.ExtendedResourceClaimStatus = was.ExtendedResourceClaimStatus
	}
	if s.ObservedGeneration == 0 {
		s.ObservedGeneration = was.ObservedGeneration
	}
	generations := map[corev1.PodConditionType][]int64{} // one type may be there twice
	for _, c := range was.Conditions {
		generations[c.Type] = append(generations[c.Type], c.ObservedGeneration)
	}
	for i := range s.Conditions {
		c := &s.Conditions[i]
		list := generations[c.Type]
		if len(list) == 0 {
			continue
		}
		generations[c.Type] = list[1:]
		if c.ObservedGeneration == 0 {
			c.ObservedGeneration = list[0]
		}
	}
	core.DropDisabledPodStatusFields(s, was)
	core.DropInitContainerAnnotations(p.Annotations)
}

func selectable(p *corev1.Pod) fields.Set {
	ip := ""
	if len(p.Status.PodIPs) > 0 {
		ip = p.Status.PodIPs[0].IP
	}
	return fields.Set{
		"spec.nodeName":            p.Spec.NodeName,
		"spec.restartPolicy":       string(p.Spec.RestartPolicy),
		"spec.schedulerName":       p.Spec.SchedulerName,
		"spec.serviceAccountName":  p.Spec.ServiceAccountName,
		"spec.hostNetwork":         strconv.FormatBool(p.Spec.HostNetwork),
		"status.phase":             string(p.Status.Phase),
		"status.podIP":             ip,
		"status.nominatedNodeName": p.Status.NominatedNodeName,
	}
}
