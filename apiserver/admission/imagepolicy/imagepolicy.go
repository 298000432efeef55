// Package imagepolicy asks a service outside whether pods may run their images.
// It is ImagePolicyWebhook of
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#imagepolicywebhook.
//
// The API of this package is not stable: see docs/api.md.
package imagepolicy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/api/imagepolicy/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apiserver/pkg/admission"
	webhookutil "k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/rest"
)

const (
	auditPrefix = "imagepolicywebhook.image-policy.k8s.io/"
	// failedOpen marks pods that were let in unasked, in the audit log and on
	// the pod.
	failedOpen    = auditPrefix + "failed-open"
	podFailedOpen = "alpha.image-policy.k8s.io/failed-open"
	// annotationsFor is in the keys of those annotations that are sent.
	annotationsFor = ".image-policy.k8s.io/"
	// remembered is the number of answers that are kept.
	remembered = 1024
)

// Plugin is ImagePolicyWebhook.
type Plugin struct {
	*admission.Handler
	settings
	service *webhookutil.GenericWebhook
	answers *cache.LRUExpireCache
}

var _ admission.ValidationInterface = &Plugin{}

// New makes the plugin. config is required: YAML or JSON with a Configuration
// under imagePolicy.
func New(config io.Reader) (*Plugin, error) {
	s, err := load(config)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration of image policies: %w", err)
	}
	client, err := webhookutil.LoadKubeconfig(s.kubeconfig, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of image policies: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	service, err := webhookutil.NewGenericWebhook(scheme, serializer.NewCodecFactory(scheme), client,
		[]schema.GroupVersion{v1alpha1.SchemeGroupVersion}, webhookutil.DefaultRetryBackoffWithInitialDelay(s.wait))
	if err != nil {
		return nil, fmt.Errorf("making a client for image policies: %w", err)
	}
	return &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update), settings: s,
		service: service, answers: cache.NewLRUExpireCache(remembered)}, nil
}

// Validate implements admission.ValidationInterface.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	sub := a.GetSubresource()
	if a.GetResource().GroupResource() != corev1.Resource("pods") || sub != "" && sub != "ephemeralcontainers" {
		return nil
	}
	pod, ok := a.GetObject().(*corev1.Pod)
	if !ok {
		return apierrors.NewBadRequest("Resource was marked with kind Pod but was unable to be converted")
	}
	spec := question(pod, a.GetNamespace(), sub != "")
	status, err := p.ask(ctx, spec)
	if err != nil {
		if !p.defaultAllow {
			return admission.NewForbidden(a, err)
		}
		if pod.Annotations == nil {
			pod.Annotations = map[string]string{}
		}
		pod.Annotations[podFailedOpen] = "true"
		return a.AddAnnotation(failedOpen, "true")
	}
	for k, v := range status.AuditAnnotations {
		// The service's words may make keys that an audit log does not take.
		_ = a.AddAnnotation(auditPrefix+k, v)
	}
	switch {
	case status.Allowed:
		return nil
	case status.Reason != "":
		return admission.NewForbidden(a, fmt.Errorf("image policy webhook backend denied one or more images: %s", status.Reason))
	}
	return admission.NewForbidden(a, errors.New("one or more images rejected by webhook backend"))
}

// question returns the review of a pod's images: those of ephemeral containers
// or of all others.
func question(pod *corev1.Pod, namespace string, ephemeral bool) v1alpha1.ImageReviewSpec {
	spec := v1alpha1.ImageReviewSpec{Annotations: map[string]string{}, Namespace: namespace}
	add := func(image string) {
		spec.Containers = append(spec.Containers, v1alpha1.ImageReviewContainerSpec{Image: image})
	}
	if ephemeral {
		for _, c := range pod.Spec.EphemeralContainers {
			add(c.Image)
		}
	} else {
		for _, c := range pod.Spec.Containers {
			add(c.Image)
		}
		for _, c := range pod.Spec.InitContainers {
			add(c.Image)
		}
	}
	for k, v := range pod.Annotations {
		if strings.Contains(k, annotationsFor) {
			spec.Annotations[k] = v
		}
	}
	return spec
}

// ask gives the remembered answer, or the service's.
func (p *Plugin) ask(ctx context.Context, spec v1alpha1.ImageReviewSpec) (v1alpha1.ImageReviewStatus, error) {
	key, err := json.Marshal(spec)
	if err != nil {
		return v1alpha1.ImageReviewStatus{}, err
	}
	if known, ok := p.answers.Get(string(key)); ok {
		return known.(v1alpha1.ImageReviewStatus), nil
	}
	review := &v1alpha1.ImageReview{Spec: spec}
	result := p.service.WithExponentialBackoff(ctx, func() rest.Result {
		return p.service.RestClient.Post().Body(review).Do(ctx)
	})
	if err := result.Error(); err != nil {
		return v1alpha1.ImageReviewStatus{}, err
	}
	var code int
	if result.StatusCode(&code); code < 200 || code >= 300 {
		return v1alpha1.ImageReviewStatus{}, fmt.Errorf("Error contacting webhook: %d", code)
	}
	if err := result.Into(review); err != nil {
		return v1alpha1.ImageReviewStatus{}, err
	}
	ttl := p.denyTTL
	if review.Status.Allowed {
		ttl = p.allowTTL
	}
	p.answers.Add(string(key), review.Status, ttl)
	return review.Status, nil
}
