package nodettl

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// SetupWithManager registers the controller. A node is woken when it comes or
// its annotation changes; a new time reaches a node with its next change, which
// is a heartbeat away.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	opts.Reconciler = r
	c, err := controller.New(Name, mgr, opts)
	if err != nil {
		return fmt.Errorf("building %s: %w", Name, err)
	}
	if err := c.Watch(source.Kind(mgr.GetCache(), &corev1.Node{}, r.handler())); err != nil {
		return fmt.Errorf("watching nodes: %w", err)
	}
	return nil
}
