package crash

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// TestWitness shows the witness what must never be.
func TestWitness(t *testing.T) {
	p := plan{Nodes: 2, Web: 1, WebLast: 1, Surge: 1}
	for want, changes := range map[string][]runtime.Object{
		"moves from a to b":                {onNode(pod("x", nil), "a"), onNode(pod("x", nil), "b")},
		"was Succeeded and is Running":     {phase(pod("x", nil), corev1.PodSucceeded), phase(pod("x", nil), corev1.PodRunning)},
		"gets the address 10.0.0.1":        {address(pod("x", nil), "10.0.0.1"), address(pod("y", nil), "10.0.0.1")},
		"which then holds 4000 m":          {node("a", "3"), onNode(pod("x", nil), "a"), onNode(pod("y", nil), "a")},
		"counts backwards":                 {job(func(s *batchv1.JobStatus) { s.Succeeded = 2 }), job(func(s *batchv1.JobStatus) { s.Succeeded = 1 })},
		"has 4 succeeded of 3":             {job(nil), job(func(s *batchv1.JobStatus) { s.Succeeded = 4 })},
		"counts pod u again":               {job(nil), uncounting("u"), job(nil), uncounting("u")},
		"loses its finalizer and was not":  {job(nil), phase(finalizer(ofJob("x", "")), corev1.PodSucceeded), phase(ofJob("x", ""), corev1.PodSucceeded)},
		"both work on index 1":             {job(nil), ofJob("x", "1"), ofJob("y", "1")},
		"has 3 active pods, 2 are allowed": {job(nil), ofJob("x", ""), ofJob("y", ""), ofJob("z", "")},
		"are to have 3 pods, 2 are":        {set("web-a", 2), set("web-b", 1)},
		"never to have more than 1":        {set("web-a", 1), ofSet("x", "web-a"), ofSet("y", "web-a")},
		"web has 0 ready pods, 1 must":     {isReady(pod("x", map[string]string{"app": "web"})), pod("x", map[string]string{"app": "web"})},
		"a has two agents": {
			onNode(pod("x", map[string]string{"app": "agent"}), "a"), onNode(pod("y", map[string]string{"app": "agent"}), "a")},
		"comes while db-0 is not ready": {pod("db-0", map[string]string{"app": "db"}), pod("db-1", map[string]string{"app": "db"})},
	} {
		w, now := newWitness(&p), map[string]runtime.Object{}
		for i, o := range changes {
			key := keyOf(o)
			w.see(change{revision: int64(i), key: key, before: now[key], after: o})
			now[key] = o
		}
		if !strings.Contains(strings.Join(w.odd, "\n"), want) {
			t.Errorf("%q is not seen, but %q", want, w.odd)
		}
	}
}

func keyOf(o runtime.Object) string {
	switch o := o.(type) {
	case *corev1.Pod:
		return "pods/work/" + o.Name
	case *corev1.Node:
		return "nodes/" + o.Name
	case *batchv1.Job:
		return "batch/jobs/work/" + o.Name
	case *appsv1.ReplicaSet:
		return "apps/replicasets/work/" + o.Name
	}
	return ""
}

func pod(name string, labels map[string]string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "work", Name: name, UID: types.UID(name), Labels: labels}}
	p.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}}}}
	return p
}

func onNode(p *corev1.Pod, node string) *corev1.Pod          { p.Spec.NodeName = node; return p }
func phase(p *corev1.Pod, phase corev1.PodPhase) *corev1.Pod { p.Status.Phase = phase; return p }
func address(p *corev1.Pod, ip string) *corev1.Pod           { p.Status.PodIP = ip; return p }
func finalizer(p *corev1.Pod) *corev1.Pod {
	p.Finalizers = []string{batchv1.JobTrackingFinalizer}
	return p
}

func isReady(p *corev1.Pod) *corev1.Pod {
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	return p
}

func ofJob(name, index string) *corev1.Pod {
	p := pod(name, map[string]string{batchv1.JobNameLabel: "j"})
	if index != "" {
		p.Annotations = map[string]string{batchv1.JobCompletionIndexAnnotation: index}
	}
	return p
}

func ofSet(name, set string) *corev1.Pod {
	p, yes := pod(name, nil), true
	p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: set, UID: types.UID(set), Controller: &yes}}
	return p
}

func node(name, cpu string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	n.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	return n
}

func job(status func(*batchv1.JobStatus)) *batchv1.Job {
	three, two := int32(3), int32(2)
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "work", Name: "j"}, Spec: batchv1.JobSpec{Completions: &three, Parallelism: &two}}
	if status != nil {
		status(&j.Status)
	}
	return j
}

func uncounting(uid types.UID) *batchv1.Job {
	return job(func(s *batchv1.JobStatus) {
		s.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Succeeded: []types.UID{uid}}
	})
}

func set(name string, replicas int32) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "work", Name: name, UID: types.UID(name)}, Spec: appsv1.ReplicaSetSpec{Replicas: &replicas}}
}
