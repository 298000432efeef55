// Package noderestriction sees to it that the agent of a node writes only what
// is its own: its node object and lease, the status of pods bound to it, mirror
// pods, tokens of its pods. It looks into objects where the node authorizer
// cannot. See
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction.
//
// The API of this package is not stable: see docs/api.md.
package noderestriction

import (
	"cmp"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/coracle-k8s/coracle/apiserver/auth/node"
)

// Objects looks up what requests name. Errors are those of the API.
type Objects interface {
	LivePod(ctx context.Context, namespace, name string) (*corev1.Pod, error)
	LiveNode(ctx context.Context, name string) (*corev1.Node, error)
	// LiveObject gives any other.
	LiveObject(ctx context.Context, gr schema.GroupResource, namespace, name string) (runtime.Object, error)
}

// Plugin is NodeRestriction.
type Plugin struct {
	*admission.Handler
	objects    Objects
	authorizer authorizer.UnconditionalAuthorizer
}

var _ admission.MutationInterface = &Plugin{}

// New makes the plugin. The authorizer decides for which audiences an agent may
// request tokens besides those of its pods; nil grants none.
func New(objects Objects, authorizer authorizer.UnconditionalAuthorizer) *Plugin {
	return &Plugin{authorizer: authorizer, Handler: admission.NewHandler(admission.Create, admission.Update, admission.Delete), objects: objects}
}

// request holds what an agent asks.
type request struct {
	admission.Attributes
	node string
}

func (r *request) forbid(format string, args ...any) error {
	return admission.NewForbidden(r, fmt.Errorf(format, args...))
}

// Admit implements admission.MutationInterface; it changes nothing but must
// refuse before later plugins look at objects.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	name, isNode := node.Name(a.GetUserInfo())
	if !isNode {
		return nil
	}
	r := &request{Attributes: a, node: name}
	if name == "" {
		return r.forbid("could not determine node from user %q", a.GetUserInfo().GetName())
	}
	gr := a.GetResource().GroupResource()
	switch gr.String() {
	case "pods":
		switch a.GetSubresource() {
		case "":
			return p.pod(ctx, r)
		case "status":
			return podStatus(r)
		case "eviction":
			return p.eviction(ctx, r)
		}
		return r.forbid("unexpected pod subresource %q, only 'status' and 'eviction' are allowed", a.GetSubresource())
	case "nodes":
		return nodeObject(r)
	case "persistentvolumeclaims":
		if a.GetSubresource() == "status" {
			return claimStatus(r)
		}
		return r.forbid("may only update PVC status")
	case "serviceaccounts":
		if a.GetSubresource() == "token" {
			return p.token(ctx, r)
		}
	case "leases.coordination.k8s.io":
		return lease(r)
	case "csinodes.storage.k8s.io":
		return csiNode(r)
	case "certificatesigningrequests.certificates.k8s.io":
		return signingRequest(r)
	case "podcertificaterequests.certificates.k8s.io":
		return p.certificateRequest(ctx, r)
	case "resourceslices.resource.k8s.io":
		return resourceSlice(r)
	}
	return nil
}

// pod checks that an agent creates only mirror pods, and deletes only pods of its node.
func (p *Plugin) pod(ctx context.Context, r *request) error {
	switch r.GetOperation() {
	case admission.Create:
		pod, ok := r.GetObject().(*corev1.Pod)
		if !ok {
			return r.forbid("unexpected type %T", r.GetObject())
		}
		return p.mirrorPod(ctx, r, pod)
	case admission.Delete:
		pod, err := p.objects.LivePod(ctx, r.GetNamespace(), r.GetName())
		if err != nil {
			return unlessNotFound(r, err)
		}
		if pod.Spec.NodeName != r.node {
			return r.forbid("node %q can only delete pods with spec.nodeName set to itself", r.node)
		}
		return nil
	}
	return r.forbid("unexpected operation %q, node %q can only create and delete mirror pods", r.GetOperation(), r.node)
}

func (p *Plugin) eviction(ctx context.Context, r *request) error {
	if r.GetOperation() != admission.Create {
		return r.forbid("unexpected operation %s", r.GetOperation())
	}
	eviction, ok := r.GetObject().(*policyv1.Eviction)
	if !ok {
		return r.forbid("unexpected type %T", r.GetObject())
	}
	// The name in the path is the one that counts.
	name := cmp.Or(r.GetName(), eviction.Name)
	if name == "" {
		return r.forbid("could not determine pod from request data")
	}
	pod, err := p.objects.LivePod(ctx, r.GetNamespace(), name)
	if err != nil {
		return unlessNotFound(r, err)
	}
	if pod.Spec.NodeName != r.node {
		return r.forbid("node %s can only evict pods with spec.nodeName set to itself", r.node)
	}
	return nil
}

func lease(r *request) error {
	if r.GetNamespace() != corev1.NamespaceNodeLease {
		return r.forbid("can only access leases in the %q system namespace", corev1.NamespaceNodeLease)
	}
	return named(r, "can only access node lease with the same name as the requesting node")
}

// csiNode refuses writes of other nodes' CSINodes, and of any status: that is of
// a feature that is off by default.
func csiNode(r *request) error {
	if err := named(r, "can only access CSINode with the same name as the requesting node"); err != nil {
		return err
	}
	if r.GetSubresource() == "status" {
		return r.forbid("CSIVolumeHealth feature gate is disabled")
	}
	return nil
}

// named refuses an object without the node's name.
func named(r *request, otherwise string) error {
	name := r.GetName()
	if r.GetOperation() == admission.Create {
		object, ok := r.GetObject().(interface{ GetName() string })
		if !ok {
			return r.forbid("unexpected type %T", r.GetObject())
		}
		name = object.GetName()
	}
	if name != r.node {
		return r.forbid("%s", otherwise)
	}
	return nil
}

// unlessNotFound returns an error of the API that the object is not there, and
// refuses for any other.
func unlessNotFound(r *request, err error) error {
	if apierrors.IsNotFound(err) {
		return err
	}
	return r.forbid("%w", err)
}
