package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/coracle-k8s/coracle/apiserver/auth/rbac"
)

// patience is how long a question about an object that no pod of the node uses
// waits for news of a pod: the agent may have heard of it first.
const patience = 100 * time.Millisecond

// Authorizer is the node authorizer.
type Authorizer struct {
	graph   *Graph
	rules   []rbacv1.PolicyRule
	special map[string]decider
}

var (
	_ authorizer.Authorizer   = &Authorizer{}
	_ authorizer.RuleResolver = &Authorizer{}
)

// New makes the authorizer over graph.
func New(graph *Graph) *Authorizer {
	return &Authorizer{graph: graph, rules: rbac.NodeRules(), special: special()}
}

// verdict is the reason of a refusal; allowed is empty.
type verdict string

const (
	allowed verdict = ""
	nothing verdict = " " // that it may not, without a reason
)

// Authorize implements authorizer.Authorizer. It allows or has no opinion.
func (a *Authorizer) Authorize(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	node, isNode := Name(attrs.GetUser())
	if !isNode {
		return authorizer.DecisionNoOpinion, "", nil
	}
	if node == "" {
		return authorizer.DecisionNoOpinion, fmt.Sprintf("unknown node for user %q", attrs.GetUser().GetName()), nil
	}
	if attrs.IsResourceRequest() {
		if decide, ok := a.special[attrs.GetAPIGroup()+"/"+attrs.GetResource()]; ok {
			v, err := decide(a, ctx, node, attrs)
			if err != nil || v != allowed {
				return authorizer.DecisionNoOpinion, strings.TrimSpace(string(v)), err
			}
			return authorizer.DecisionAllow, "", nil
		}
	}
	if rbac.RulesAllow(attrs, a.rules...) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

type decider func(a *Authorizer, ctx context.Context, node string, attrs authorizer.Attributes) (verdict, error)

// special returns the resources of which a node may have its own only, as
// "group/resource".
func special() map[string]decider {
	return map[string]decider{
		"/secrets":                                   readable(secrets),
		"/configmaps":                                readable(configMaps),
		"/persistentvolumeclaims":                    claim,
		"/persistentvolumes":                         gettable(volumes),
		"/serviceaccounts":                           account,
		"/nodes":                                     ownNode,
		"/pods":                                      podObject,
		"resource.k8s.io/resourceclaims":             gettable(resourceClaims),
		"resource.k8s.io/resourceslices":             slice,
		"coordination.k8s.io/leases":                 lease,
		"storage.k8s.io/csinodes":                    csiNode,
		"storage.k8s.io/volumeattachments":           gettable(attachments),
		"certificates.k8s.io/podcertificaterequests": certificateRequest,
	}
}

func (a *Authorizer) related(ctx context.Context, node, kind string, attrs authorizer.Attributes) (verdict, error) {
	namespace, name := attrs.GetNamespace(), attrs.GetName()
	if name == "" {
		return "No Object name found", nil
	}
	if err := a.graph.Sync(ctx, kind); err != nil {
		return "", fmt.Errorf("reading pods: %w", err)
	}
	uses := func() bool { return a.graph.Uses(node, kind, namespace, name) }
	if uses() {
		return allowed, nil
	}
	soon, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if a.graph.await(soon, kind, uses) {
		return allowed, nil
	}
	return verdict(fmt.Sprintf("no relationship found between node '%s' and this object", node)), nil
}

func readable(kind string) decider {
	return func(a *Authorizer, ctx context.Context, node string, attrs authorizer.Attributes) (verdict, error) {
		switch {
		case !oneOf(attrs, "get", "list", "watch"):
			return "can only read resources of this type", nil
		case attrs.GetSubresource() != "":
			return "cannot read subresource", nil
		case attrs.GetNamespace() == "":
			return "can only read namespaced object of this type", nil
		}
		return a.related(ctx, node, kind, attrs)
	}
}

func gettable(kind string) decider {
	return func(a *Authorizer, ctx context.Context, node string, attrs authorizer.Attributes) (verdict, error) {
		switch {
		case !oneOf(attrs, "get"):
			return "can only get individual resources of this type", nil
		case attrs.GetSubresource() != "":
			return "cannot get subresource", nil
		}
		return a.related(ctx, node, kind, attrs)
	}
}

func claim(a *Authorizer, ctx context.Context, node string, attrs authorizer.Attributes) (verdict, error) {
	if attrs.GetSubresource() == "status" {
		if !oneOf(attrs, "update", "patch") {
			return "can only get/update/patch this type", nil
		}
		return a.related(ctx, node, claims, attrs)
	}
	return gettable(claims)(a, ctx, node, attrs)
}

func account(a *Authorizer, ctx context.Context, node string, attrs authorizer.Attributes) (verdict, error) {
	switch {
	case oneOf(attrs, "get") && attrs.GetSubresource() == "":
		// For credential providers of image registries.
		return readable(accounts)(a, ctx, node, attrs)
	case !oneOf(attrs, "create") || attrs.GetName() == "":
		return "can only create tokens for individual service accounts", nil
	case attrs.GetSubresource() != "token":
		return "can only create token subresource of serviceaccount", nil
	}
	return a.related(ctx, node, accounts, attrs)
}

func ownNode(_ *Authorizer, _ context.Context, node string, attrs authorizer.Attributes) (verdict, error) {
	switch attrs.GetSubresource() {
	case "":
		// Admission sees to it that it writes its own.
		if oneOf(attrs, "create", "update", "patch") {
			return allowed, nil
		}
		if !oneOf(attrs, "get", "list", "watch") {
			break
		}
		switch attrs.GetName() {
		case node:
			return allowed, nil
		case "":
			return verdict(fmt.Sprintf("node '%s' cannot read all nodes, only its own Node object", node)), nil
		}
		return verdict(fmt.Sprintf("node '%s' cannot read '%s', only its own Node object", node, attrs.GetName())), nil
	case "status":
		if oneOf(attrs, "update", "patch") {
			return allowed, nil
		}
	}
	return nothing, nil
}

func podObject(a *Authorizer, ctx context.Context, node string, attrs authorizer.Attributes) (verdict, error) {
	switch attrs.GetSubresource() {
	case "":
		switch {
		case oneOf(attrs, "create", "delete"):
			// Mirror pods, and pods whose end the agent reports; admission
			// sees to it that they are its own.
			return allowed, nil
		case oneOf(attrs, "get"):
			return a.related(ctx, node, pods, attrs)
		case oneOf(attrs, "list", "watch"):
			if selects(attrs, "spec.nodeName", node) {
				return allowed, nil
			}
			if attrs.GetName() != "" {
				return a.related(ctx, node, pods, attrs)
			}
			return "can only list/watch pods with spec.nodeName field selector", nil
		}
	case "status":
		if oneOf(attrs, "update", "patch") {
			return allowed, nil
		}
	case "eviction":
		if oneOf(attrs, "create") {
			return allowed, nil
		}
	}
	return nothing, nil
}

func lease(_ *Authorizer, _ context.Context, node string, attrs authorizer.Attributes) (verdict, error) {
	switch {
	case !oneOf(attrs, "get", "create", "update", "patch", "delete"):
		return "can only get, create, update, patch, or delete a node lease", nil
	case attrs.GetNamespace() != corev1.NamespaceNodeLease:
		return verdict(fmt.Sprintf("can only access leases in the %q system namespace", corev1.NamespaceNodeLease)), nil
	case !oneOf(attrs, "create") && attrs.GetName() != node:
		return "can only access node lease with the same name as the requesting node", nil
	}
	return allowed, nil
}

// csiNode allows a node its own CSINode without the status, which is of a feature
// that is off by default.
func csiNode(_ *Authorizer, _ context.Context, node string, attrs authorizer.Attributes) (verdict, error) {
	switch attrs.GetSubresource() {
	case "":
	case "status":
		return "CSINode status access requires CSIVolumeHealth feature", nil
	default:
		return "cannot authorize CSINode subresources", nil
	}
	switch {
	case !oneOf(attrs, "get", "create", "update", "patch", "delete"):
		return "can only get, create, update, patch, or delete a CSINode", nil
	case !oneOf(attrs, "create") && attrs.GetName() != node:
		return "can only access CSINode with the same name as the requesting node", nil
	}
	return allowed, nil
}

func slice(a *Authorizer, ctx context.Context, node string, attrs authorizer.Attributes) (verdict, error) {
	switch {
	case attrs.GetSubresource() != "":
		return "cannot authorize ResourceSlice subresources", nil
	case oneOf(attrs, "create"):
		// Admission sees to it that it is the node's own.
		return allowed, nil
	case oneOf(attrs, "get", "update", "patch", "delete"):
		return a.related(ctx, node, resourceSlices, attrs)
	case oneOf(attrs, "watch", "list", "deletecollection"):
		if selects(attrs, resourcev1.ResourceSliceSelectorNodeName, node) {
			return allowed, nil
		}
		return "can only list/watch/deletecollection resourceslices with nodeName field selector", nil
	}
	return "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection", nil
}

func certificateRequest(a *Authorizer, ctx context.Context, node string, attrs authorizer.Attributes) (verdict, error) {
	switch {
	case attrs.GetSubresource() != "":
		return "nodes may not access the status subresource of PodCertificateRequests", nil
	case oneOf(attrs, "create"):
		// Admission sees to it that it is for a pod of the node.
		return allowed, nil
	case oneOf(attrs, "get"):
		return a.related(ctx, node, certificateRequests, attrs)
	case oneOf(attrs, "list", "watch"):
		if selects(attrs, "spec.nodeName", node) {
			return allowed, nil
		}
		return "can only list/watch podcertificaterequests with nodeName field selector", nil
	}
	return verdict(fmt.Sprintf("nodes may not %s podcertificaterequests", attrs.GetVerb())), nil
}

func oneOf(attrs authorizer.Attributes, verbs ...string) bool {
	return slices.Contains(verbs, attrs.GetVerb())
}

func selects(attrs authorizer.Attributes, field, value string) bool {
	// A selector that cannot be parsed selects nothing here.
	requirements, _ := attrs.GetFieldSelector()
	for _, r := range requirements {
		if r.Field == field && r.Operator == selection.Equals && r.Value == value {
			return true
		}
	}
	return false
}

// ConditionsAwareAuthorize implements authorizer.Authorizer: there are no
// conditions.
func (a *Authorizer) ConditionsAwareAuthorize(ctx context.Context, attrs authorizer.Attributes) authorizer.ConditionsAwareDecision {
	return authorizer.ConditionsAwareDecisionFromParts(a.Authorize(ctx, attrs))
}

// EvaluateConditions implements authorizer.Authorizer.
func (a *Authorizer) EvaluateConditions(context.Context, authorizer.ConditionsAwareDecision, authorizer.ConditionsData) (authorizer.Decision, string, error) {
	return authorizer.DecisionDeny, "", authorizer.ErrorConditionEvaluationNotSupported
}

// RulesFor implements authorizer.RuleResolver: a node's rules depend on its
// pods and are not listed.
func (a *Authorizer) RulesFor(_ context.Context, u user.Info, _ string) ([]authorizer.ResourceRuleInfo, []authorizer.NonResourceRuleInfo, bool, error) {
	if _, isNode := Name(u); isNode {
		return nil, nil, true, errors.New("node authorizer does not support user rule resolution")
	}
	return nil, nil, false, nil
}
