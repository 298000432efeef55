package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	toleration "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
)

// outcome is the label of pods that decides how they go on: "ready" by default or
// "succeed" if they may end, "unready" or "fail".
const outcome = "outcome"

var podsResource = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// player stands for scheduler and kubelets of one side. Its actions on a pod
// follow from the pod's spec, and never from its name or from when it comes.
type player struct {
	*world
	addresses atomic.Int32
}

// run plays all pods until ctx is done.
func (p *player) run(ctx context.Context) {
	go func() { <-ctx.Done(); p.pods.ShutDown() }()
	for range 4 {
		go func() {
			for {
				key, down := p.pods.Get()
				if down {
					return
				}
				if err := p.play(ctx, key); err != nil && !apierrors.IsNotFound(err) {
					p.pods.AddRateLimited(key)
				} else {
					p.pods.Forget(key)
				}
				p.pods.Done(key)
			}
		}()
	}
}

func (p *player) play(ctx context.Context, key string) error {
	obj, found, err := p.informers[podsResource].GetIndexer().GetByKey(key)
	if err != nil || !found {
		return err
	}
	pod := &corev1.Pod{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.(*unstructured.Unstructured).Object, pod); err != nil {
		return err
	}
	over := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	switch {
	case pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil:
		return p.bind(ctx, pod)
	case pod.Spec.NodeName == "" || over && pod.DeletionTimestamp == nil:
		return nil
	case pod.DeletionTimestamp != nil && !over:
		return p.status(ctx, pod, corev1.PodFailed, false)
	case pod.DeletionTimestamp != nil:
		return p.client.Resource(podsResource).Namespace(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0), Preconditions: &metav1.Preconditions{UID: &pod.UID}})
	case pod.Status.Phase == corev1.PodRunning:
		return nil
	}
	switch pod.Labels[outcome] {
	case "fail":
		return p.status(ctx, pod, corev1.PodFailed, false)
	case "unready":
		return p.status(ctx, pod, corev1.PodRunning, false)
	case "succeed":
		return p.status(ctx, pod, corev1.PodSucceeded, false)
	}
	return p.status(ctx, pod, corev1.PodRunning, true)
}

// bind takes the first of the script's nodes that the pod may run on.
func (p *player) bind(ctx context.Context, pod *corev1.Pod) error {
	for _, suffix := range nodeNames() {
		obj, found, err := p.informers[schema.GroupVersionResource{Version: "v1", Resource: "nodes"}].GetIndexer().GetByKey(pod.Namespace + suffix)
		if err != nil || !found {
			continue
		}
		node := &corev1.Node{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.(*unstructured.Unstructured).Object, node); err != nil {
			return err
		}
		fits, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node)
		_, hostile := toleration.FindMatchingUntoleratedTaint(klog.Background(), node.Spec.Taints, pod.Spec.Tolerations, func(t *corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule }, false)
		if err != nil || !fits || hostile {
			continue
		}
		binding := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Binding", "metadata": map[string]any{"name": pod.Name, "uid": string(pod.UID)}, "target": map[string]any{"kind": "Node", "name": node.Name}}}
		_, err = p.client.Resource(podsResource).Namespace(pod.Namespace).Create(ctx, binding, metav1.CreateOptions{}, "binding")
		if apierrors.IsConflict(err) {
			return nil // bound already
		}
		return err
	}
	return nil
}

func (p *player) status(ctx context.Context, pod *corev1.Pod, phase corev1.PodPhase, ready bool) error {
	n := p.addresses.Add(1)
	ip := fmt.Sprintf("10.%d.%d.%d", 128+n>>16&0x3f, n>>8&0xff, n&0xff)
	if pod.Status.PodIP != "" {
		ip = pod.Status.PodIP
	}
	state := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
	if phase != corev1.PodRunning {
		code := map[corev1.PodPhase]int32{corev1.PodFailed: 1}[phase]
		state = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Ended", FinishedAt: metav1.Now(), StartedAt: metav1.Now()}}
	}
	is := corev1.ConditionFalse
	if ready {
		is = corev1.ConditionTrue
	}
	status := corev1.PodStatus{Phase: phase, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}, StartTime: ptr.To(metav1.Now())}
	for _, t := range []corev1.PodConditionType{corev1.PodReady, corev1.ContainersReady} {
		status.Conditions = append(status.Conditions, corev1.PodCondition{Type: t, Status: is, LastTransitionTime: metav1.Now()})
	}
	for _, c := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, Image: c.Image, ImageID: c.Image, ContainerID: "fake://1", Ready: ready, Started: ptr.To(phase == corev1.PodRunning), State: state})
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID}, "status": status})
	if err == nil {
		_, err = p.client.Resource(podsResource).Namespace(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	}
	return err
}
