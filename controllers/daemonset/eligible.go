package daemonset

import (
	"slices"
	"strconv"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corehelpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/coracle-k8s/coracle/controllers/internal/owned"
)

// Verdict holds whether a set's pods belong on a node.
type Verdict struct {
	// Run: a pod should be there.
	Run bool
	// Stay: a pod that is there may stay.
	Stay bool
}

// judge is a set's question to nodes, its parts parsed once for all of them.
type judge struct {
	nodeName    string
	tolerations []corev1.Toleration
	affinity    nodeaffinity.RequiredNodeAffinity
}

func newJudge(set *appsv1.DaemonSet) judge {
	spec := &set.Spec.Template.Spec
	return judge{
		nodeName:    spec.NodeName,
		tolerations: tolerations(spec),
		affinity:    nodeaffinity.NewRequiredNodeAffinity(spec.NodeSelector, spec.Affinity),
	}
}

func (j judge) judge(node *corev1.Node) Verdict {
	if j.nodeName != "" && j.nodeName != node.Name {
		return Verdict{}
	}
	// An affinity that does not parse matches nothing.
	if ok, err := j.affinity.Match(node); err != nil || !ok {
		return Verdict{}
	}
	if !j.tolerates(node, corev1.TaintEffectNoExecute) {
		return Verdict{}
	}
	return Verdict{Run: j.tolerates(node, corev1.TaintEffectNoSchedule), Stay: true}
}

func (j judge) tolerates(node *corev1.Node, effect corev1.TaintEffect) bool {
	if len(node.Spec.Taints) == 0 {
		return true
	}
	_, untolerated := corehelpers.FindMatchingUntoleratedTaint(logr.Discard(), node.Spec.Taints, j.tolerations,
		func(t *corev1.Taint) bool { return t.Effect == effect }, true)
	return !untolerated
}

// tolerations returns the template's tolerations and those that every pod of a
// DaemonSet has, so that it outlives the troubles of its node.
// https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#taints-and-tolerations
func tolerations(spec *corev1.PodSpec) []corev1.Toleration {
	out := slices.Clone(spec.Tolerations)
	add := func(key string, effect corev1.TaintEffect) {
		t := corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: effect}
		for i := range out {
			if out[i].MatchToleration(&t) {
				out[i] = t // also without a time limit
				return
			}
		}
		out = append(out, t)
	}
	add(corev1.TaintNodeNotReady, corev1.TaintEffectNoExecute)
	add(corev1.TaintNodeUnreachable, corev1.TaintEffectNoExecute)
	add(corev1.TaintNodeDiskPressure, corev1.TaintEffectNoSchedule)
	add(corev1.TaintNodeMemoryPressure, corev1.TaintEffectNoSchedule)
	add(corev1.TaintNodePIDPressure, corev1.TaintEffectNoSchedule)
	add(corev1.TaintNodeUnschedulable, corev1.TaintEffectNoSchedule)
	if spec.HostNetwork {
		add(corev1.TaintNodeNetworkUnavailable, corev1.TaintEffectNoSchedule)
	}
	return out
}

// labelTemplateGeneration is the label of pods with the template's generation,
// for clients that still read it; the hash of the revision has replaced it.
const labelTemplateGeneration = "pod-template-generation"

// templateGeneration returns the server's count of the set's templates, and
// false for a set that has none.
func templateGeneration(set *appsv1.DaemonSet) (string, bool) {
	text, ok := set.Annotations[appsv1.DeprecatedTemplateGeneration]
	if !ok {
		return "", false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return strconv.FormatInt(n, 10), err == nil
}

// newPod returns the pod for a node. Its name is the server's choice.
func newPod(set *appsv1.DaemonSet, hash, node string) *corev1.Pod {
	pod := owned.NewPod(set, kind, &set.Spec.Template)
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	pod.Labels[appsv1.DefaultDaemonSetUniqueLabelKey] = hash
	if generation, ok := templateGeneration(set); ok {
		pod.Labels[labelTemplateGeneration] = generation
	}
	pod.Spec.Tolerations = tolerations(&set.Spec.Template.Spec)
	pod.Spec.Affinity = pinned(pod.Spec.Affinity, node)
	return pod
}

// pinned replaces what the affinity requires of nodes, which the node has been
// found to meet, by the node's name.
func pinned(a *corev1.Affinity, node string) *corev1.Affinity {
	if a == nil {
		a = &corev1.Affinity{}
	}
	if a.NodeAffinity == nil {
		a.NodeAffinity = &corev1.NodeAffinity{}
	}
	a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchFields: []corev1.NodeSelectorRequirement{{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}},
	}}}
	return a
}

// nodeOf returns the node that the pod is on or meant for, empty if unknown.
func nodeOf(pod *corev1.Pod) string {
	if pod.Spec.NodeName != "" {
		return pod.Spec.NodeName
	}
	a := pod.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return ""
	}
	for _, term := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		for _, f := range term.MatchFields {
			if f.Key == metav1.ObjectNameField && f.Operator == corev1.NodeSelectorOpIn && len(f.Values) == 1 {
				return f.Values[0]
			}
		}
	}
	return ""
}
