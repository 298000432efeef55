package namespace

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// SetupWithManager registers the controller. Namespaces wake it when they begin
// to terminate, and the ends of pods in such a namespace do.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	opts.Reconciler = r
	c, err := controller.New(Name, mgr, opts)
	if err != nil {
		return fmt.Errorf("building %s: %w", Name, err)
	}
	var ns, pod client.Object = &corev1.Namespace{}, &corev1.Pod{}
	if err := c.Watch(source.Kind(mgr.GetCache(), ns, namespaceHandler())); err != nil {
		return fmt.Errorf("watching namespaces: %w", err)
	}
	if err := c.Watch(source.Kind(mgr.GetCache(), pod, r.podHandler())); err != nil {
		return fmt.Errorf("watching pods: %w", err)
	}
	return nil
}
