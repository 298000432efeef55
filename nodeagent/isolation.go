package nodeagent

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/dynamic-resource-allocation/resourceclaim"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// handler returns the runtime's name for what the pod's RuntimeClass asks for, empty for the
// default. The runtime refuses one that it does not have.
func (a *Agent) handler(ctx context.Context, pod *corev1.Pod) (string, error) {
	name := pod.Spec.RuntimeClassName
	if name == nil || *name == "" {
		return "", nil
	}
	var class nodev1.RuntimeClass
	if err := a.config.Client.Get(ctx, client.ObjectKey{Name: *name}, &class); err != nil {
		return "", fmt.Errorf("failed to get RuntimeClass %q: %w", *name, err)
	}
	return class.Handler, nil
}

// prepareClaims returns an error for a claim with devices: there is no driver that could give
// them to the pod, which must not run without them.
func (a *Agent) prepareClaims(ctx context.Context, pod *corev1.Pod) error {
	names, err := claimsOf(pod)
	if err != nil {
		return err
	}
	for _, name := range names {
		var claim resourcev1.ResourceClaim
		if err := a.config.Client.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: name}, &claim); err != nil {
			return fmt.Errorf("fetch ResourceClaim %s/%s: %w", pod.Namespace, name, err)
		}
		if claim.Status.Allocation == nil {
			return fmt.Errorf("ResourceClaim %s/%s is not allocated", pod.Namespace, name)
		}
		for _, device := range claim.Status.Allocation.Devices.Results {
			return fmt.Errorf("DRA driver %s is not registered", device.Driver)
		}
	}
	return nil
}

// claimsOf returns the names of the claims that the pod uses.
func claimsOf(pod *corev1.Pod) ([]string, error) {
	var names []string
	for i := range pod.Spec.ResourceClaims {
		name, _, err := resourceclaim.Name(pod, &pod.Spec.ResourceClaims[i])
		if err != nil {
			return nil, err
		}
		if name != nil {
			names = append(names, *name)
		}
	}
	if extended := pod.Status.ExtendedResourceClaimStatus; extended != nil {
		names = append(names, extended.ResourceClaimName)
	}
	return names, nil
}
