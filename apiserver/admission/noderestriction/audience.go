package noderestriction

import (
	"context"
	"errors"
	"fmt"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// audience: an agent asks for tokens for whom the pod's volumes say, or for
// whom it was given the verb request-serviceaccounts-token-audience. See
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction.
func (p *Plugin) audience(ctx context.Context, r *request, tr *authenticationv1.TokenRequest, pod *corev1.Pod) error {
	wanted := ""
	switch len(tr.Spec.Audiences) {
	case 0:
	case 1:
		wanted = tr.Spec.Audiences[0]
	default:
		return r.forbid("node may only request 0 or 1 audiences")
	}
	named, err := p.names(ctx, pod, wanted)
	if err != nil {
		return r.forbid("error validating audience %q: %w", wanted, err)
	}
	if named || p.mayAsk(ctx, r, wanted) {
		return nil
	}
	return r.forbid("%s is not authorized to request tokens for audience %q", r.GetUserInfo().GetName(), wanted)
}

func (p *Plugin) mayAsk(ctx context.Context, r *request, audience string) bool {
	return p.granted(ctx, r, "request-serviceaccounts-token-audience", audience, r.GetName())
}

// granted asks for a right of the agent that only means something here.
func (p *Plugin) granted(ctx context.Context, r *request, verb, resource, name string) bool {
	if p.authorizer == nil {
		return false
	}
	gvr := r.GetResource()
	decision, _, _ := p.authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User: r.GetUserInfo(), Verb: verb, APIGroup: gvr.Group, APIVersion: gvr.Version,
		Resource: resource, Namespace: r.GetNamespace(), Name: name, ResourceRequest: true,
	})
	return decision == authorizer.DecisionAllow
}

// names reports whether a volume of the pod asks for a token for the audience,
// itself or by the CSI driver behind it.
func (p *Plugin) names(ctx context.Context, pod *corev1.Pod, audience string) (bool, error) {
	var errs []error
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool {
			return s.ServiceAccountToken != nil && s.ServiceAccountToken.Audience == audience
		}) {
			return true, nil
		}
		driver, err := p.driver(ctx, pod, v)
		if err == nil && driver != "" {
			var asks bool
			if asks, err = p.driverNames(ctx, driver, audience); asks {
				return true, nil
			}
		}
		errs = append(errs, err)
	}
	return false, errors.Join(errs...)
}

// driver is the CSI driver of a volume, empty if it has none.
func (p *Plugin) driver(ctx context.Context, pod *corev1.Pod, v *corev1.Volume) (string, error) {
	claim := ""
	switch {
	case v.CSI != nil:
		return v.CSI.Driver, nil
	case v.PersistentVolumeClaim != nil:
		claim = v.PersistentVolumeClaim.ClaimName
	case v.Ephemeral != nil:
		claim = pod.Name + "-" + v.Name
	default:
		return "", nil
	}
	c, err := look[*corev1.PersistentVolumeClaim](ctx, p, corev1.Resource("persistentvolumeclaims"), pod.Namespace, claim)
	if err != nil {
		return "", err
	}
	volume, err := look[*corev1.PersistentVolume](ctx, p, corev1.Resource("persistentvolumes"), "", c.Spec.VolumeName)
	if err != nil || volume.Spec.CSI == nil {
		return "", err
	}
	return volume.Spec.CSI.Driver, nil
}

func (p *Plugin) driverNames(ctx context.Context, name, audience string) (bool, error) {
	driver, err := look[*storagev1.CSIDriver](ctx, p, storagev1.Resource("csidrivers"), "", name)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(driver.Spec.TokenRequests, func(t storagev1.TokenRequest) bool { return t.Audience == audience }), nil
}

func look[T runtime.Object](ctx context.Context, p *Plugin, gr schema.GroupResource, namespace, name string) (T, error) {
	var none T
	obj, err := p.objects.LiveObject(ctx, gr, namespace, name)
	if err != nil {
		return none, err
	}
	typed, ok := obj.(T)
	if !ok {
		return none, fmt.Errorf("reading %s %s: got %T", gr, name, obj)
	}
	return typed, nil
}
