package bootstrap

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// SetupWithManager registers the controller. Every change of cluster-info and of
// a bootstrap token wakes it.
func (s *Signer) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	opts.Reconciler = s
	c, err := controller.New(SignerName, mgr, opts)
	if err != nil {
		return fmt.Errorf("building %s: %w", SignerName, err)
	}
	wake := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: clusterInfo()}}
	})
	isInfo := predicate.NewPredicateFuncs(func(o client.Object) bool { return client.ObjectKeyFromObject(o) == clusterInfo() })
	var configMap, secret client.Object = &corev1.ConfigMap{}, &corev1.Secret{}
	if err := c.Watch(source.Kind(mgr.GetCache(), configMap, wake, isInfo)); err != nil {
		return fmt.Errorf("watching ConfigMaps: %w", err)
	}
	if err := c.Watch(source.Kind(mgr.GetCache(), secret, wake, tokens())); err != nil {
		return fmt.Errorf("watching Secrets: %w", err)
	}
	return nil
}

// SetupWithManager registers the controller. Tokens wake it when they change and
// when they expire.
func (c *Cleaner) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	opts.Reconciler = c
	ctl, err := controller.New(CleanerName, mgr, opts)
	if err != nil {
		return fmt.Errorf("building %s: %w", CleanerName, err)
	}
	var secret client.Object = &corev1.Secret{}
	if err := ctl.Watch(source.Kind(mgr.GetCache(), secret, handler.EventHandler(&handler.EnqueueRequestForObject{}), tokens())); err != nil {
		return fmt.Errorf("watching Secrets: %w", err)
	}
	return nil
}
