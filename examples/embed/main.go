// Command embed runs a whole cluster inside of a Go program: no root, no containers, no other
// process. It creates a Deployment and waits until it is available.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "embed-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	noRealNodes := int32(0)
	began := time.Now()
	c, err := cluster.Start(ctx, &v1alpha1.Cluster{DataDir: dir, Listen: "127.0.0.1:0", Nodes: &noRealNodes, SimulatedNodes: 3})
	if err != nil {
		return err
	}
	defer c.Stop()
	fmt.Fprintf(out, "a cluster after %s, for kubectl: export KUBECONFIG=%s\n", time.Since(began).Round(time.Millisecond), c.Kubeconfig())

	kube, err := client.New(c.RESTConfig(), client.Options{Scheme: c.Scheme()})
	if err != nil {
		return err
	}
	web := deployment()
	if err := kube.Create(ctx, web); err != nil {
		return err
	}
	err = wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		err := kube.Get(ctx, client.ObjectKeyFromObject(web), web)
		return web.Status.AvailableReplicas == *web.Spec.Replicas, err
	})
	if err != nil {
		return fmt.Errorf("waiting for the Deployment: %w", err)
	}
	pods := &corev1.PodList{}
	if err := kube.List(ctx, pods, client.InNamespace(web.Namespace), client.MatchingLabels(web.Spec.Selector.MatchLabels)); err != nil {
		return err
	}
	for _, p := range pods.Items {
		fmt.Fprintf(out, "%s runs on %s\n", p.GenerateName, p.Spec.NodeName)
	}
	return nil
}

func deployment() *appsv1.Deployment {
	labels, replicas := map[string]string{"app": "web"}, int32(3)
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: appsv1.DeploymentSpec{
		Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web:v1"}}}},
	}}
}
