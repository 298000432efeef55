// Package defaultbinder binds pods through the pods/binding subresource.
//
// The API of this package is not stable: see docs/api.md.
package defaultbinder

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Name is the plugin's name in Kubernetes.
const Name = "DefaultBinder"

// DefaultBinder is the Bind plugin.
type DefaultBinder struct{ client client.SubResourceClient }

var _ fwk.BindPlugin = &DefaultBinder{}

// New returns a plugin that binds with c.
func New(c client.SubResourceClientConstructor) *DefaultBinder {
	return &DefaultBinder{client: c.SubResource("binding")}
}

func (*DefaultBinder) Name() string { return Name }

// Bind creates the binding. The UID makes it fail for a pod that was replaced
// by one of the same name.
func (b *DefaultBinder) Bind(ctx context.Context, _ fwk.CycleState, pod *v1.Pod, node string) *fwk.Status {
	binding := &v1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		Target:     v1.ObjectReference{Kind: "Node", Name: node},
	}
	target := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}
	if err := b.client.Create(ctx, target, binding); err != nil {
		return fwk.AsStatus(fmt.Errorf("binding pod %s/%s to node %s: %w", pod.Namespace, pod.Name, node, err))
	}
	return nil
}
