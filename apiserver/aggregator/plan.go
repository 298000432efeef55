package aggregator

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration"

	"github.com/coracle-k8s/coracle/apiserver/customresources"
)

type apiService = apiregistration.APIService

// Label of APIServices that the server writes: "onstart" for built-in groups,
// "true" for those of definitions, as upstream.
const managedLabel = "kube-aggregator.kubernetes.io/automanaged"

// Local is a group and version that is served here.
type Local struct {
	schema.GroupVersion
	// Custom is set if a CustomResourceDefinition has it.
	Custom bool
}

// BuiltIn returns upstream's priorities of the groups it has, which clients see in the
// order of kubectl api-resources; higher comes first. Groups that are not listed come last.
func BuiltIn(gv schema.GroupVersion) (group, version int32) {
	groups := map[string]int32{
		"": 18000, "apps": 17800, "events.k8s.io": 17750, "authentication.k8s.io": 17700, "authorization.k8s.io": 17600,
		"autoscaling": 17500, "batch": 17400, "certificates.k8s.io": 17300, "networking.k8s.io": 17200, "policy": 17100,
		"rbac.authorization.k8s.io": 17000, "storage.k8s.io": 16800, "apiextensions.k8s.io": 16700, "admissionregistration.k8s.io": 16700,
		"scheduling.k8s.io": 16600, "coordination.k8s.io": 16500, "node.k8s.io": 16300, "discovery.k8s.io": 16200, "resource.k8s.io": 16200,
		"flowcontrol.apiserver.k8s.io": 16100, "internal.apiserver.k8s.io": 16000, "storagemigration.k8s.io": 15800, "lifecycle.k8s.io": 15700, "apiregistration.k8s.io": 20001, // above any that an APIService may have
	}
	versions := map[schema.GroupVersion]int32{
		{Version: "v1"}: 1, {Group: "autoscaling", Version: "v2"}: 30, {Group: "resource.k8s.io", Version: "v1"}: 21,
		{Group: "flowcontrol.apiserver.k8s.io", Version: "v1"}: 21,

		{Group: "admissionregistration.k8s.io", Version: "v1beta1"}: 12, {Group: "admissionregistration.k8s.io", Version: "v1alpha1"}: 9,
		{Group: "certificates.k8s.io", Version: "v1beta1"}: 9, {Group: "internal.apiserver.k8s.io", Version: "v1alpha1"}: 9,
		{Group: "coordination.k8s.io", Version: "v1beta1"}: 13, {Group: "coordination.k8s.io", Version: "v1alpha2"}: 12,
		{Group: "resource.k8s.io", Version: "v1beta1"}: 9, {Group: "resource.k8s.io", Version: "v1alpha3"}: 1,
		{Group: "scheduling.k8s.io", Version: "v1beta1"}: 9, {Group: "scheduling.k8s.io", Version: "v1alpha3"}: 3,
		{Group: "storagemigration.k8s.io", Version: "v1beta1"}: 9, {Group: "lifecycle.k8s.io", Version: "v1alpha1"}: 1,
	}
	group, version = 15000, 15
	if g, ok := groups[gv.Group]; ok {
		group = g
	}
	if v, ok := versions[gv]; ok {
		version = v
	}
	return group, version
}

// localService returns the APIService of a group that is served here. Its own
// group has none, as upstream.
func localService(l Local, now metav1.Time) *apiService {
	managed := "onstart"
	group, version := BuiltIn(l.GroupVersion)
	if l.Custom {
		managed, group, version = "true", customresources.GroupPriority, customresources.VersionPriority
	}
	return &apiService{
		ObjectMeta: metav1.ObjectMeta{Name: l.Version + "." + l.Group, Labels: map[string]string{managedLabel: managed}},
		Spec:       apiregistration.APIServiceSpec{Group: l.Group, Version: l.Version, GroupPriorityMinimum: group, VersionPriority: version},
		Status: apiregistration.APIServiceStatus{Conditions: []apiregistration.APIServiceCondition{{
			Type: apiregistration.Available, Status: apiregistration.ConditionTrue, LastTransitionTime: now,
			Reason: "Local", Message: "Local APIServices are always available",
		}}},
	}
}

// planLocal returns which APIServices to write and which to delete, so that there is
// one for each group served here. One that a user pointed at a Service is left alone.
func planLocal(locals []Local, have map[string]*apiService, now metav1.Time) (create []*apiService, remove []string) {
	want := map[string]bool{}
	for _, l := range locals {
		if l.Group == apiregistration.GroupName {
			continue
		}
		s := localService(l, now)
		want[s.Name] = true
		if have[s.Name] == nil {
			create = append(create, s)
		}
	}
	for name, s := range have {
		if s.Labels[managedLabel] != "" && s.Spec.Service == nil && !want[name] {
			remove = append(remove, name)
		}
	}
	slices.Sort(remove)
	return create, remove
}

// observed holds what is known of the Service behind an APIService.
type observed struct {
	service      *corev1.Service
	serviceErr   error
	endpoints    []*discoveryv1.EndpointSlice
	endpointsErr error
}

// verdict returns why the APIService cannot be available, nil if its server is
// to be asked. Reasons and messages are upstream's.
func verdict(ref *apiregistration.ServiceReference, o observed) *apiregistration.APIServiceCondition {
	say := func(status apiregistration.ConditionStatus, reason, format string, args ...any) *apiregistration.APIServiceCondition {
		return &apiregistration.APIServiceCondition{Type: apiregistration.Available, Status: status, Reason: reason, Message: fmt.Sprintf(format, args...)}
	}
	no, unknown := apiregistration.ConditionFalse, apiregistration.ConditionUnknown
	switch {
	case apierrors.IsNotFound(o.serviceErr):
		return say(no, "ServiceNotFound", "service/%s in %q is not present", ref.Name, ref.Namespace)
	case o.serviceErr != nil:
		return say(unknown, "ServiceAccessError", "service/%s in %q cannot be checked due to: %v", ref.Name, ref.Namespace, o.serviceErr)
	case o.service.Spec.Type != corev1.ServiceTypeClusterIP:
		return nil
	}
	i := slices.IndexFunc(o.service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == ref.Port })
	switch {
	case i < 0:
		return say(no, "ServicePortError", "service/%s in %q is not listening on port %d", ref.Name, ref.Namespace, ref.Port)
	case o.endpointsErr != nil:
		return say(unknown, "EndpointsAccessError", "service/%s in %q cannot be checked due to: %v", ref.Name, ref.Namespace, o.endpointsErr)
	case len(o.endpoints) == 0:
		return say(no, "EndpointsNotFound", "cannot find endpointslices for service/%s in %q", ref.Name, ref.Namespace)
	}
	port := o.service.Spec.Ports[i].Name
	if !slices.ContainsFunc(o.endpoints, func(s *discoveryv1.EndpointSlice) bool { return answers(s, port) }) {
		return say(no, "MissingEndpoints", "endpointslices for service/%s in %q have no addresses with port name %q", ref.Name, ref.Namespace, port)
	}
	return nil
}

func answers(s *discoveryv1.EndpointSlice, port string) bool {
	return slices.ContainsFunc(s.Endpoints, func(e discoveryv1.Endpoint) bool { return e.Conditions.Ready == nil || *e.Conditions.Ready }) &&
		slices.ContainsFunc(s.Ports, func(p discoveryv1.EndpointPort) bool {
			return p.Port != nil && (p.Name != nil && *p.Name == port || p.Name == nil && port == "")
		})
}

// passed and failed are results of asking the server.
func passed() apiregistration.APIServiceCondition {
	return apiregistration.APIServiceCondition{Type: apiregistration.Available, Status: apiregistration.ConditionTrue, Reason: "Passed", Message: "all checks passed"}
}

func failed(err error) apiregistration.APIServiceCondition {
	return apiregistration.APIServiceCondition{Type: apiregistration.Available, Status: apiregistration.ConditionFalse, Reason: "FailedDiscoveryCheck", Message: err.Error()}
}

// withCondition returns a copy of s with c, nil if s has it already. Time
// changes with the status.
func withCondition(s *apiService, c apiregistration.APIServiceCondition, now metav1.Time) *apiService {
	i := slices.IndexFunc(s.Status.Conditions, func(o apiregistration.APIServiceCondition) bool { return o.Type == c.Type })
	c.LastTransitionTime = now
	out := s.DeepCopy()
	if i < 0 {
		out.Status.Conditions = append(out.Status.Conditions, c)
		return out
	}
	old := s.Status.Conditions[i]
	if old.Status == c.Status {
		c.LastTransitionTime = old.LastTransitionTime
	}
	if old == c {
		return nil
	}
	out.Status.Conditions[i] = c
	return out
}

func available(s *apiService) bool {
	return slices.ContainsFunc(s.Status.Conditions, func(c apiregistration.APIServiceCondition) bool {
		return c.Type == apiregistration.Available && c.Status == apiregistration.ConditionTrue
	})
}
