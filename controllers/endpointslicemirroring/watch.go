package endpointslicemirroring

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// SetupWithManager registers the controller. Endpoints, their Service and their
// slices wake it.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	opts.Reconciler = r
	c, err := controller.New(Name, mgr, opts)
	if err != nil {
		return fmt.Errorf("building %s: %w", Name, err)
	}
	byName := handler.EventHandler(&handler.EnqueueRequestForObject{})
	var endpoints, service client.Object = &corev1.Endpoints{}, &corev1.Service{}
	if err := c.Watch(source.Kind(mgr.GetCache(), endpoints, byName)); err != nil {
		return fmt.Errorf("watching Endpoints: %w", err)
	}
	if err := c.Watch(source.Kind(mgr.GetCache(), service, byName)); err != nil {
		return fmt.Errorf("watching Services: %w", err)
	}
	if err := c.Watch(source.Kind(mgr.GetCache(), &discoveryv1.EndpointSlice{}, r.SliceHandler())); err != nil {
		return fmt.Errorf("watching EndpointSlices: %w", err)
	}
	return nil
}
