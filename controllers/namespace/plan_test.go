package namespace

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

var now = time.Unix(1_700_000_000, 0)

func TestNextStep(t *testing.T) {
	deleted := metav1.NewTime(now)
	for _, tc := range []struct {
		name string
		ns   corev1.Namespace
		want Step
	}{
		{"alive", corev1.Namespace{Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"kubernetes"}}}, Nothing},
		{"deleted", corev1.Namespace{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &deleted}, Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"other", "kubernetes"}}}, Empty},
		{"finalized", corev1.Namespace{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &deleted}, Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"other"}}}, Nothing},
	} {
		if got := NextStep(&tc.ns); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestFinalizedKeepsOthersFinalizers(t *testing.T) {
	ns := &corev1.Namespace{Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"a", "kubernetes", "b"}}}
	if diff := cmp.Diff([]corev1.FinalizerName{"a", "b"}, Finalized(ns).Spec.Finalizers); diff != "" {
		t.Error(diff)
	}
	if len(ns.Spec.Finalizers) != 3 {
		t.Error("the namespace itself was changed")
	}
}

func TestRetry(t *testing.T) {
	for n, want := range map[int]time.Duration{0: 25 * time.Millisecond, 1: 50 * time.Millisecond, 4: 400 * time.Millisecond, 8: lastRetry, 1000: lastRetry} {
		if got := Retry(n); got != want {
			t.Errorf("attempt %d: %v, want %v", n, got, want)
		}
	}
}

func TestConditions(t *testing.T) {
	report := &Report{DeleteErrors: []error{errors.New("z failed"), errors.New("a failed")}}
	report.add(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, 1, map[string]int{"foregroundDeletion": 1})
	report.add(pods, 12, map[string]int{"example.com/hold": 2})
	first, change := Conditions(nil, report, now)
	if change != Different {
		t.Errorf("change %v", change)
	}
	since := metav1.NewTime(now)
	want := []corev1.NamespaceCondition{
		{Type: "NamespaceDeletionDiscoveryFailure", Status: "False", LastTransitionTime: since, Reason: "ResourcesDiscovered", Message: "All resources successfully discovered"},
		{Type: "NamespaceDeletionGroupVersionParsingFailure", Status: "False", LastTransitionTime: since, Reason: "ParsedGroupVersions", Message: "All legacy kube types successfully parsed"},
		{Type: "NamespaceDeletionContentFailure", Status: "True", LastTransitionTime: since, Reason: "ContentDeletionFailed", Message: "Failed to delete all resource types, 2 remaining: a failed, z failed"},
		{Type: "NamespaceContentRemaining", Status: "True", LastTransitionTime: since, Reason: "SomeResourcesRemain", Message: "Some resources are remaining: deployments.apps has 1 resource instances, pods. has 12 resource instances"},
		{Type: "NamespaceFinalizersRemaining", Status: "True", LastTransitionTime: since, Reason: "SomeFinalizersRemain", Message: "Some content in the namespace has finalizers remaining: example.com/hold in 2 resource instances, foregroundDeletion in 1 resource instances"},
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}

	later := now.Add(time.Minute)
	if _, change := Conditions(first, report, later); change != Same {
		t.Errorf("the same report: %v", change)
	}
	report.Remaining[pods] = 3
	reworded, change := Conditions(first, report, later)
	if change != Reworded || !reworded[3].LastTransitionTime.Equal(&since) {
		t.Errorf("another count: %v, since %v", change, reworded[3].LastTransitionTime)
	}
	fine, change := Conditions(first, &Report{}, later)
	if change != Different || fine[3].Status != corev1.ConditionFalse || fine[3].Reason != "ContentRemoved" || !fine[3].LastTransitionTime.Time.Equal(later) {
		t.Errorf("all well: %v, %+v", change, fine[3])
	}
	lost, _ := Conditions(nil, &Report{DiscoveryError: errors.New("group x is down")}, now)
	if lost[0].Status != corev1.ConditionTrue || lost[0].Reason != "DiscoveryFailed" {
		t.Errorf("%+v", lost[0])
	}
	some := &discovery.ErrGroupDiscoveryFailed{Groups: map[schema.GroupVersion]error{{Group: "metrics.k8s.io", Version: "v1beta1"}: errors.New("stale GroupVersion discovery: metrics.k8s.io/v1beta1")}}
	stale, _ := Conditions(nil, &Report{DiscoveryError: some}, now)
	if got, want := stale[0].Message, "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: metrics.k8s.io/v1beta1: stale GroupVersion discovery: metrics.k8s.io/v1beta1"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
}
