package podgc

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// SetupWithManager registers the controller, with one worker.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	opts.Reconciler = r
	opts.MaxConcurrentReconciles = 1
	c, err := controller.New(Name, mgr, opts)
	if err != nil {
		return fmt.Errorf("building %s: %w", Name, err)
	}
	var pod, node client.Object = &corev1.Pod{}, &corev1.Node{}
	if err := c.Watch(source.Kind(mgr.GetCache(), pod, r.podHandler())); err != nil {
		return fmt.Errorf("watching pods: %w", err)
	}
	if err := c.Watch(source.Kind(mgr.GetCache(), node, r.nodeHandler())); err != nil {
		return fmt.Errorf("watching nodes: %w", err)
	}
	return nil
}
