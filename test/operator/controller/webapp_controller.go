// Package controller is the sample operator's reconciler.
package controller

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	v1 "github.com/coracle-k8s/coracle/test/operator/api/v1"
)

// WebAppReconciler makes a ConfigMap and a Deployment of each WebApp.
type WebAppReconciler struct {
	client.Client
}

// SetupWithManager registers the reconciler.
func (r *WebAppReconciler) SetupWithManager(mgr ctrl.Manager) error {
	unchecked := true // one process runs the suite more than once
	return ctrl.NewControllerManagedBy(mgr).For(&v1.WebApp{}).Owns(&appsv1.Deployment{}).Owns(&corev1.ConfigMap{}).
		WithOptions(controller.Options{SkipNameValidation: &unchecked}).Complete(r)
}

// Reconcile makes what one WebApp wants.
func (r *WebAppReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	app := &v1.WebApp{}
	if err := r.Get(ctx, req.NamespacedName, app); err != nil || app.DeletionTimestamp != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name}}
	if _, err := controllerutil.CreateOrUpdate(ctx, r.Client, config, func() error {
		config.Data = map[string]string{"message": app.Spec.Greeting.Text + " " + app.Spec.Greeting.Name}
		return controllerutil.SetControllerReference(app, config, r.Scheme())
	}); err != nil {
		return ctrl.Result{}, fmt.Errorf("making the ConfigMap: %w", err)
	}
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Name: app.Name}}
	if _, err := controllerutil.CreateOrUpdate(ctx, r.Client, deployment, func() error {
		shape(deployment, app)
		return controllerutil.SetControllerReference(app, deployment, r.Scheme())
	}); err != nil {
		return ctrl.Result{}, fmt.Errorf("making the Deployment: %w", err)
	}
	return ctrl.Result{}, r.report(ctx, app, deployment)
}

func shape(d *appsv1.Deployment, app *v1.WebApp) {
	labels := map[string]string{"app": app.Name}
	d.Spec.Replicas = &app.Spec.Replicas
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	d.Spec.Template.Labels = labels
	if len(d.Spec.Template.Spec.Containers) == 0 {
		d.Spec.Template.Spec.Containers = make([]corev1.Container, 1)
	}
	c := &d.Spec.Template.Spec.Containers[0]
	c.Name, c.Image = "web", app.Spec.Image
	c.Env = []corev1.EnvVar{{Name: "MESSAGE", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: app.Name}, Key: "message",
	}}}}
}

func (r *WebAppReconciler) report(ctx context.Context, app *v1.WebApp, d *appsv1.Deployment) error {
	before := app.DeepCopyObject().(*v1.WebApp).Status
	app.Status.AvailableReplicas, app.Status.ObservedGeneration = d.Status.AvailableReplicas, app.Generation
	ready := metav1.Condition{Type: "Ready", Status: metav1.ConditionFalse, Reason: "Starting", ObservedGeneration: app.Generation}
	if d.Status.AvailableReplicas == app.Spec.Replicas {
		ready.Status, ready.Reason = metav1.ConditionTrue, "Available"
	}
	meta.SetStatusCondition(&app.Status.Conditions, ready)
	if equality.Semantic.DeepEqual(before, app.Status) {
		return nil
	}
	if err := r.Status().Update(ctx, app); err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}
