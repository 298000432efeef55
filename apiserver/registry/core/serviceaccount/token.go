package serviceaccount

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"

	"github.com/coracle-k8s/coracle/apis/authentication"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// Lifetimes of tokens, in seconds.
const (
	maxSeconds = 1 << 32
	// agentSeconds is requested by agents for pods that want the default: an hour and a
	// margin that distinguishes it from a user's choice. Such tokens last a year, for
	// clients that read their token only once, and using one beyond the hour is reported.
	agentSeconds    = 60*60 + 7
	extendedSeconds = 365 * 24 * 60 * 60
)

// tokenStorage answers TokenRequests.
type tokenStorage struct {
	env   registry.Env
	store *genericregistry.Store
}

// New implements rest.Storage.
func (s *tokenStorage) New() runtime.Object { return &authenticationv1.TokenRequest{} }

// GroupVersionKind implements rest.GroupVersionKindProvider: the kind is of another group.
func (s *tokenStorage) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return authenticationv1.SchemeGroupVersion.WithKind("TokenRequest")
}

// Destroy implements rest.Storage.
func (s *tokenStorage) Destroy() {}

// PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate implements
// rest.SubresourceObjectMetaPreserver: the UID is compared with the account's.
func (s *tokenStorage) PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate() bool { return true }

// Create implements rest.NamedCreater.
func (s *tokenStorage) Create(ctx context.Context, name string, obj runtime.Object, validate rest.ValidateObjectFunc, o *metav1.CreateOptions) (runtime.Object, error) {
	req, ok := obj.(*authenticationv1.TokenRequest)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("expected a TokenRequest, got %T", obj))
	}
	if s.env.Tokens == nil {
		return nil, apierrors.NewServiceUnavailable("this server issues no tokens")
	}
	if errs := ofAccount(ctx, req, name); len(errs) > 0 {
		return nil, apierrors.NewInvalid(schema.GroupKind{Group: authenticationv1.GroupName, Kind: "TokenRequest"}, name, errs)
	}
	got, err := s.store.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	sa := got.(*corev1.ServiceAccount)
	if err := complete(req, sa); err != nil {
		return nil, err
	}
	if len(req.Spec.Audiences) == 0 {
		req.Spec.Audiences = s.env.APIAudiences
	}
	if errs := authentication.ValidateTokenRequest(req); len(errs) > 0 {
		// Upstream does not name the request.
		return nil, apierrors.NewInvalid(schema.GroupKind{Group: authenticationv1.GroupName, Kind: "TokenRequest"}, "", errs)
	}
	if validate != nil {
		if err := validate(ctx, obj.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	issue := registry.TokenRequest{ServiceAccount: sa, Audiences: req.Spec.Audiences, Seconds: *req.Spec.ExpirationSeconds}
	if err := s.bind(ctx, req, &issue); err != nil {
		return nil, err
	}
	if most := s.maxSeconds(); issue.Seconds > most {
		issue.Seconds = most
		warning.AddWarning(ctx, "", fmt.Sprintf("requested expiration of %d seconds shortened to %d seconds", *req.Spec.ExpirationSeconds, issue.Seconds))
	}
	if s.env.ExtendTokens && issue.Seconds == agentSeconds && issue.Pod != nil && s.isAPI(req.Spec.Audiences) {
		issue.WarnAfter, issue.Seconds = agentSeconds, extendedSeconds
	}
	out := req.DeepCopy()
	// A dry run answers as if, but gives no credential away.
	token, expires := "", s.env.Clock.Now().Add(time.Duration(issue.Seconds)*time.Second)
	if len(o.DryRun) == 0 {
		if token, expires, err = s.env.Tokens.IssueToken(ctx, issue); err != nil {
			return nil, apierrors.NewInternalError(fmt.Errorf("issuing a token: %w", err))
		}
	}
	if issue.WarnAfter > 0 {
		// The agent refreshes by what it asked for, not by the real end.
		expires = s.env.Clock.Now().Add(agentSeconds * time.Second)
	}
	out.Status = authenticationv1.TokenRequestStatus{Token: token, ExpirationTimestamp: metav1.NewTime(expires)}
	return out, nil
}

func (s *tokenStorage) maxSeconds() int64 {
	if most := int64(s.env.MaxTokenExpiration / time.Second); most > 0 {
		return most
	}
	return maxSeconds
}

// isAPI reports whether a token for the audiences is for this API server.
func (s *tokenStorage) isAPI(audiences []string) bool {
	if len(audiences) != len(s.env.APIAudiences) {
		return false
	}
	for i := range audiences {
		if audiences[i] != s.env.APIAudiences[i] {
			return false
		}
	}
	return true
}

// ofAccount reports that the request, as far as it names one, names the account.
func ofAccount(ctx context.Context, req *authenticationv1.TokenRequest, name string) field.ErrorList {
	meta := field.NewPath("metadata")
	if req.Name != "" && req.Name != name {
		return field.ErrorList{field.Invalid(meta.Child("name"), req.Name, "must match the service account name if specified")}
	}
	if req.Namespace != "" && req.Namespace != request.NamespaceValue(ctx) {
		return field.ErrorList{field.Invalid(meta.Child("namespace"), req.Namespace, "must match the service account namespace if specified")}
	}
	return nil
}

// complete takes name, namespace and UID from the account, and drops the status.
func complete(req *authenticationv1.TokenRequest, sa *corev1.ServiceAccount) error {
	if req.UID != "" && req.UID != sa.UID {
		return apierrors.NewConflict(schema.GroupResource{Group: authenticationv1.GroupName, Resource: "TokenRequest"}, sa.Name,
			fmt.Errorf("the UID in the token request (%s) does not match the UID of the service account (%s)", req.UID, sa.UID))
	}
	req.Name, req.Namespace, req.UID, req.CreationTimestamp = sa.Name, sa.Namespace, sa.UID, metav1.Now()
	req.Status = authenticationv1.TokenRequestStatus{}
	return nil
}

// bind finds the object the token shall be bound to.
func (s *tokenStorage) bind(ctx context.Context, req *authenticationv1.TokenRequest, issue *registry.TokenRequest) error {
	ref := req.Spec.BoundObjectRef
	if ref == nil {
		return nil
	}
	var uid types.UID
	gvk := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)
	switch {
	case gvk.Group == "" && gvk.Kind == "Pod":
		obj, err := s.get(ctx, "pods", ref.Name)
		if err != nil {
			return err
		}
		issue.Pod = obj.(*corev1.Pod)
		if issue.Pod.Spec.ServiceAccountName != issue.ServiceAccount.Name {
			return apierrors.NewBadRequest(fmt.Sprintf("cannot bind token for serviceaccount %q to pod running with different serviceaccount name.", issue.ServiceAccount.Name))
		}
		uid = issue.Pod.UID
		if err := s.bindNode(ctx, issue); err != nil {
			return err
		}
	case gvk.Group == "" && gvk.Kind == "Secret":
		obj, err := s.get(ctx, "secrets", ref.Name)
		if err != nil {
			return err
		}
		issue.Secret = obj.(*corev1.Secret)
		uid = issue.Secret.UID
	case gvk.Group == "" && gvk.Kind == "Node":
		obj, err := s.get(ctx, "nodes", ref.Name)
		if err != nil {
			return err
		}
		issue.Node = obj.(*corev1.Node)
		uid = issue.Node.UID
	default:
		text := fmt.Sprintf("cannot bind token to object of type %s", gvk)
		if authentication.ForWebhook(ref) {
			text += " (feature gate APIServerWebhookAuthenticationToken is disabled)"
		}
		return apierrors.NewBadRequest(text)
	}
	if ref.UID != "" && ref.UID != uid {
		return apierrors.NewConflict(schema.GroupResource{Group: gvk.Group, Resource: gvk.Kind}, ref.Name,
			fmt.Errorf("the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated", ref.UID))
	}
	return nil
}

// bindNode adds the pod's node; a node that is gone is no obstacle.
func (s *tokenStorage) bindNode(ctx context.Context, issue *registry.TokenRequest) error {
	if issue.Pod.Spec.NodeName == "" {
		return nil
	}
	obj, err := s.get(ctx, "nodes", issue.Pod.Spec.NodeName)
	switch {
	case apierrors.IsNotFound(err):
		issue.Node = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: issue.Pod.Spec.NodeName}}
	case err != nil:
		return err
	default:
		issue.Node = obj.(*corev1.Node)
	}
	return nil
}

func (s *tokenStorage) get(ctx context.Context, resource, name string) (runtime.Object, error) {
	store, err := s.env.Store(schema.GroupResource{Resource: resource})
	if err != nil {
		return nil, err
	}
	// Errors of objects that are not found name the resource in the context.
	ctx = request.WithRequestInfo(ctx, &request.RequestInfo{IsResourceRequest: true, Resource: resource})
	if !store.CreateStrategy.NamespaceScoped() {
		ctx = request.WithNamespace(ctx, metav1.NamespaceNone)
	}
	return store.Get(ctx, name, &metav1.GetOptions{})
}
