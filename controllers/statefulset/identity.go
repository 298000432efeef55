package statefulset

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/controllers/internal/history"
	"github.com/coracle-k8s/coracle/controllers/internal/owned"
)

// kind is the kind of owner in the pods' owner references.
var kind = appsv1.SchemeGroupVersion.WithKind("StatefulSet")

// revisionKind names its revisions.
var revisionKind = history.Kind{GroupVersionKind: kind, HashLabel: "controller.kubernetes.io/hash"}

// parse splits a pod's name into its set's name and its ordinal, which is -1
// when the name is not of that form.
func parse(name string) (set string, ordinal int) {
	i := strings.LastIndexByte(name, '-')
	if i < 0 {
		return "", -1
	}
	digits := name[i+1:]
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return "", -1
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil {
		return name[:i], -1
	}
	return name[:i], int(n)
}

func ordinalOf(pod *corev1.Pod) int {
	_, n := parse(pod.Name)
	return n
}

// isMember reports whether the pod's name makes it one of the set's.
func isMember(set *appsv1.StatefulSet, pod metav1.Object) bool {
	name, _ := parse(pod.GetName())
	return name == set.Name
}

func podName(set *appsv1.StatefulSet, ordinal int) string {
	return fmt.Sprintf("%s-%d", set.Name, ordinal)
}

func claimName(set *appsv1.StatefulSet, template *corev1.PersistentVolumeClaim, ordinal int) string {
	return fmt.Sprintf("%s-%s-%d", template.Name, set.Name, ordinal)
}

// claimOrdinal returns the ordinal that a claim of one of the set's templates is
// for, -1 for other claims.
func claimOrdinal(set *appsv1.StatefulSet, claim *corev1.PersistentVolumeClaim) int {
	prefix, n := parse(claim.Name)
	for i := range set.Spec.VolumeClaimTemplates {
		if prefix == set.Spec.VolumeClaimTemplates[i].Name+"-"+set.Name {
			return n
		}
	}
	return -1
}

func startOf(set *appsv1.StatefulSet) int {
	if set.Spec.Ordinals != nil {
		return int(set.Spec.Ordinals.Start)
	}
	return 0
}

func sizeOf(set *appsv1.StatefulSet) int { return int(ptr.Deref(set.Spec.Replicas, 1)) }

// wanted reports whether the set is to have a pod of this ordinal.
func wanted(set *appsv1.StatefulSet, ordinal int) bool {
	start := startOf(set)
	return ordinal >= start && ordinal < start+sizeOf(set)
}

func revisionOf(pod *corev1.Pod) string { return pod.Labels[appsv1.StatefulSetRevisionLabel] }

// newPod returns the pod of an ordinal at a revision.
func newPod(set *appsv1.StatefulSet, rev Revision, ordinal int) *corev1.Pod {
	pod := owned.NewPod(set, kind, rev.Template)
	pod.Name = podName(set, ordinal) // and the generateName that every owner's pods have
	pod.Spec.Hostname = pod.Name
	pod.Spec.Subdomain = set.Spec.ServiceName
	identify(pod, ordinal)
	pod.Labels[appsv1.StatefulSetRevisionLabel] = rev.Name
	mount(set, pod, ordinal)
	return pod
}

// identified reports whether the pod has the labels of its identity.
func identified(set *appsv1.StatefulSet, pod *corev1.Pod) bool {
	return pod.Name == podName(set, ordinalOf(pod)) && pod.Labels[appsv1.StatefulSetPodNameLabel] == pod.Name
}

func identify(pod *corev1.Pod, ordinal int) {
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	pod.Labels[appsv1.StatefulSetPodNameLabel] = pod.Name
	pod.Labels[appsv1.PodIndexLabel] = strconv.Itoa(ordinal)
}

// mounted reports whether the pod has the volumes of all claim templates.
func mounted(set *appsv1.StatefulSet, pod *corev1.Pod) bool {
	ordinal := ordinalOf(pod)
	for i := range set.Spec.VolumeClaimTemplates {
		t := &set.Spec.VolumeClaimTemplates[i]
		found := false
		for _, v := range pod.Spec.Volumes {
			found = found || v.Name == t.Name && v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claimName(set, t, ordinal)
		}
		if !found {
			return false
		}
	}
	return true
}

// mount gives the pod the volumes of the claim templates, in place of others of
// the same name.
func mount(set *appsv1.StatefulSet, pod *corev1.Pod, ordinal int) {
	var volumes []corev1.Volume
	ours := map[string]bool{}
	for i := range set.Spec.VolumeClaimTemplates {
		t := &set.Spec.VolumeClaimTemplates[i]
		ours[t.Name] = true
		volumes = append(volumes, corev1.Volume{Name: t.Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claimName(set, t, ordinal)},
		}})
	}
	for _, v := range pod.Spec.Volumes {
		if !ours[v.Name] {
			volumes = append(volumes, v)
		}
	}
	pod.Spec.Volumes = volumes
}

// newClaim returns the claim of a template for an ordinal. While the ordinal is
// wanted, the set itself is all that may own it.
func newClaim(set *appsv1.StatefulSet, template *corev1.PersistentVolumeClaim, ordinal int) *corev1.PersistentVolumeClaim {
	c := template.DeepCopy()
	c.Name = claimName(set, template, ordinal)
	c.Namespace = set.Namespace
	if c.Labels == nil {
		c.Labels = map[string]string{}
	}
	maps.Copy(c.Labels, set.Spec.Selector.MatchLabels)
	if retention(set).WhenDeleted == appsv1.DeletePersistentVolumeClaimRetentionPolicyType {
		c.OwnerReferences = append(c.OwnerReferences, *metav1.NewControllerRef(set, kind))
	}
	return c
}
