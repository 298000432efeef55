package noderestriction

import (
	"context"
	"fmt"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/component-helpers/storage/ephemeral"

	"github.com/coracle-k8s/coracle/apis/storage"
)

// audience checks that an agent requests tokens for an audience in the pod's volumes, or for one
// for which it was granted the verb request-serviceaccounts-token-audience. See
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
	if named {
		return nil
	}
	granted, err := p.granted(ctx, r, "request-serviceaccounts-token-audience", wanted, r.GetName())
	switch {
	case granted:
		return nil
	case err != nil:
		return r.forbid("error authorizing %s to request tokens for audience %q: %w", r.GetUserInfo().GetName(), wanted, err)
	}
	return r.forbid("%s is not authorized to request tokens for audience %q", r.GetUserInfo().GetName(), wanted)
}

// granted asks for a right of the agent that only means something here. An
// authorizer may allow and have met an error as well.
func (p *Plugin) granted(ctx context.Context, r *request, verb, resource, name string) (bool, error) {
	if p.authorizer == nil {
		return false, nil
	}
	gvr := r.GetResource()
	decision, _, err := p.authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User: r.GetUserInfo(), Verb: verb, APIGroup: gvr.Group, APIVersion: gvr.Version,
		Resource: resource, Namespace: r.GetNamespace(), Name: name, ResourceRequest: true,
	})
	return decision == authorizer.DecisionAllow, err
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
	return false, utilerrors.NewAggregate(errs)
}

// driver returns the CSI driver of a volume, empty if it has none. Volumes that
// were part of Kubernetes once belong to the drivers that took them over.
func (p *Plugin) driver(ctx context.Context, pod *corev1.Pod, v *corev1.Volume) (string, error) {
	claim := ""
	switch {
	case v.Ephemeral != nil && v.Ephemeral.VolumeClaimTemplate != nil:
		claim = ephemeral.VolumeClaimName(pod, v)
	case v.PersistentVolumeClaim != nil:
		claim = v.PersistentVolumeClaim.ClaimName
	case v.CSI != nil:
		return v.CSI.Driver, nil
	default:
		return storage.CSIDriver(storage.InlineProvisioner(&v.VolumeSource)), nil
	}
	c, err := look[*corev1.PersistentVolumeClaim](ctx, p, corev1.Resource("persistentvolumeclaims"), pod.Namespace, claim)
	if err != nil {
		return "", err
	}
	volume, err := look[*corev1.PersistentVolume](ctx, p, corev1.Resource("persistentvolumes"), "", c.Spec.VolumeName)
	if err != nil {
		return "", err
	}
	if volume.Spec.CSI != nil {
		return volume.Spec.CSI.Driver, nil
	}
	return storage.CSIDriver(storage.InTreeProvisioner(volume)), nil
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
