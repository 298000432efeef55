// Package access decides who may have devices beyond what others share: by the
// namespace for administrators' access, by rights on resourceclaims/binding for
// allocating and on resourceclaims/driver for a driver's status. See
// https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/.
//
// The API of this package is not stable: see docs/api.md.
package access

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// GuardCreate puts a check before the validation of new objects.
func GuardCreate[T registry.Object](store *genericregistry.Store, check func(context.Context, T) field.ErrorList) {
	store.CreateStrategy = guarded[T]{registry.Created{RESTCreateStrategy: store.CreateStrategy}, check}
}

type guarded[T registry.Object] struct {
	registry.Created
	check func(context.Context, T) field.ErrorList
}

// Validate implements rest.RESTCreateStrategy.
func (g guarded[T]) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	return append(g.check(ctx, obj.(T)), g.Created.Validate(ctx, obj)...)
}

// Requested returns the path at which requests ask for administrators' access,
// nil if none does.
func Requested(requests []resourcev1.DeviceRequest) *field.Path {
	for i := range requests {
		if e := requests[i].Exactly; e != nil && ptr.Deref(e.AdminAccess, false) {
			return field.NewPath("spec", "devices", "requests").Index(i).Child("adminAccess")
		}
	}
	return nil
}

// Granted returns the path at which an allocation gives administrators' access,
// nil if none does.
func Granted(a *resourcev1.AllocationResult) *field.Path {
	if a == nil {
		return nil
	}
	for i := range a.Devices.Results {
		if ptr.Deref(a.Devices.Results[i].AdminAccess, false) {
			return field.NewPath("status", "allocation", "devices", "results").Index(i).Child("adminAccess")
		}
	}
	return nil
}

// Admin refuses administrators' access, which path names if it is wanted, in
// namespaces without the label for it.
func Admin(ctx context.Context, env registry.Env, namespace string, path *field.Path) field.ErrorList {
	if path == nil {
		return nil
	}
	store, err := env.Store(corev1.Resource("namespaces"))
	if err != nil {
		return field.ErrorList{field.InternalError(path, fmt.Errorf("could not retrieve namespace to verify admin access: %w", err))}
	}
	obj, err := store.Get(ctx, namespace, &metav1.GetOptions{})
	if err != nil {
		return field.ErrorList{field.InternalError(path, fmt.Errorf("could not retrieve namespace to verify admin access: %w", err))}
	}
	if ns, ok := obj.(*corev1.Namespace); ok && ns.Labels[resourcev1.DRAAdminNamespaceLabelKey] == "true" {
		return nil
	}
	return field.ErrorList{field.Forbidden(path, fmt.Sprintf("admin access to devices requires the `%s: true` label on the containing namespace", resourcev1.DRAAdminNamespaceLabelKey))}
}

// Binding checks whether the user may change the allocation and the consumers.
func Binding(ctx context.Context, env registry.Env, now, old *resourcev1.ResourceClaimStatus) field.ErrorList {
	if env.Authorizer == nil || equality.Semantic.DeepEqual(now.Allocation, old.Allocation) && equality.Semantic.DeepEqual(now.ReservedFor, old.ReservedFor) {
		return nil
	}
	path := field.NewPath("status", "allocation")
	request, err := filters.GetAuthorizerAttributes(ctx)
	if err != nil {
		return field.ErrorList{field.InternalError(path, fmt.Errorf("cannot build authorizer attributes: %w", err))}
	}
	a := derived(request, resourcev1.SubresourceBinding, request.GetVerb())
	a.Namespace, a.Name = "", ""
	if err := ask(ctx, env, a); err != nil {
		return field.ErrorList{field.Forbidden(path, fmt.Sprintf(`changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="%s" permission: %s`, a.Verb, err))}
	}
	return nil
}

// Drivers asks whether the user may speak for each driver whose devices' status changes.
func Drivers(ctx context.Context, env registry.Env, now, old *resourcev1.ResourceClaimStatus) field.ErrorList {
	drivers := changed(now.Devices, old.Devices)
	if env.Authorizer == nil || drivers.Len() == 0 {
		return nil
	}
	path := field.NewPath("status", "devices")
	request, err := filters.GetAuthorizerAttributes(ctx)
	if err != nil {
		return field.ErrorList{field.InternalError(path, fmt.Errorf("cannot build authorizer attributes: %w", err))}
	}
	verbs := []string{resourcev1.VerbPrefixArbitraryNode + request.GetVerb()}
	if onNode(request.GetUser(), nodeOf(now.Allocation)) {
		verbs = append([]string{resourcev1.VerbPrefixAssociatedNode + request.GetVerb()}, verbs...)
	}
	var errs field.ErrorList
	for _, driver := range sets.List(drivers) {
		var first error
		for _, verb := range verbs {
			a := derived(request, resourcev1.SubresourceDriver, verb)
			a.Name = driver
			err := ask(ctx, env, a)
			if err == nil {
				first = nil
				break
			}
			if first == nil {
				first = err
			}
		}
		if first != nil {
			errs = append(errs, field.Forbidden(path, fmt.Sprintf(`changing status.devices requires resource="resourceclaims/driver", verb="%s" permission: %s`, verbs, first)))
		}
	}
	return errs
}

// derived asks for a made-up subresource of what the request is about.
func derived(a authorizer.Attributes, subresource, verb string) authorizer.AttributesRecord {
	return authorizer.AttributesRecord{
		User: a.GetUser(), Verb: verb, Namespace: a.GetNamespace(), Name: a.GetName(), APIGroup: a.GetAPIGroup(),
		APIVersion: a.GetAPIVersion(), Resource: a.GetResource(), Subresource: subresource, ResourceRequest: true,
	}
}

func ask(ctx context.Context, env registry.Env, a authorizer.AttributesRecord) error {
	decision, reason, err := env.Authorizer.Authorize(ctx, a)
	if decision == authorizer.DecisionAllow {
		return nil
	}
	switch {
	case err != nil && reason != "":
		reason = fmt.Sprintf("%v: %s", err, reason)
	case err != nil:
		reason = err.Error()
	}
	return responsewriters.ForbiddenStatusError(a, reason)
}

func changed(now, old []resourcev1.AllocatedDeviceStatus) sets.Set[string] {
	type key struct{ driver, pool, device, share string }
	index := func(list []resourcev1.AllocatedDeviceStatus) map[key]resourcev1.AllocatedDeviceStatus {
		m := map[key]resourcev1.AllocatedDeviceStatus{}
		for _, d := range list {
			m[key{d.Driver, d.Pool, d.Device, ptr.Deref(d.ShareID, "")}] = d
		}
		return m
	}
	drivers, was, is := sets.New[string](), index(old), index(now)
	for k, d := range is {
		if o, ok := was[k]; !ok || !equality.Semantic.DeepEqual(o, d) {
			drivers.Insert(d.Driver)
		}
	}
	for k, d := range was {
		if _, ok := is[k]; !ok {
			drivers.Insert(d.Driver)
		}
	}
	return drivers
}

// nodeOf returns the one node whose name the allocation selects, "" otherwise.
func nodeOf(a *resourcev1.AllocationResult) string {
	if a == nil || a.NodeSelector == nil || len(a.NodeSelector.NodeSelectorTerms) != 1 {
		return ""
	}
	term := a.NodeSelector.NodeSelectorTerms[0]
	if len(term.MatchExpressions) != 0 || len(term.MatchFields) != 1 {
		return ""
	}
	f := term.MatchFields[0]
	if f.Key != metav1.ObjectNameField || f.Operator != corev1.NodeSelectorOpIn || len(f.Values) != 1 {
		return ""
	}
	return f.Values[0]
}

// onNode reports whether the user is a service account of a pod on the node.
func onNode(u user.Info, node string) bool {
	if _, _, err := serviceaccount.SplitUsername(u.GetName()); err != nil || node == "" {
		return false
	}
	names := u.GetExtra()[serviceaccount.NodeNameKey]
	return len(names) == 1 && names[0] == node
}
