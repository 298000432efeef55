package namespace

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

const (
	// firstRetry and lastRetry bound the time between looks at a namespace that
	// something other than pods holds up.
	firstRetry = 25 * time.Millisecond
	lastRetry  = 5 * time.Second
	// rewordInterval is how often conditions are written when only the counts in
	// their messages changed.
	rewordInterval = time.Second
)

// Step is the next action on a namespace.
type Step int

const (
	// Nothing is left to do: it lives, or has been finalized.
	Nothing Step = iota
	// Empty deletes its content.
	Empty
)

// NextStep judges a namespace by itself.
func NextStep(ns *corev1.Namespace) Step {
	if ns.DeletionTimestamp == nil || !slices.Contains(ns.Spec.Finalizers, corev1.FinalizerKubernetes) {
		return Nothing
	}
	return Empty
}

// Finalized returns a copy of ns without the finalizer "kubernetes".
func Finalized(ns *corev1.Namespace) *corev1.Namespace {
	out := ns.DeepCopy()
	out.Spec.Finalizers = slices.DeleteFunc(out.Spec.Finalizers, func(f corev1.FinalizerName) bool {
		return f == corev1.FinalizerKubernetes
	})
	return out
}

// Retry returns how long to wait before the attempt that follows n earlier ones.
func Retry(n int) time.Duration {
	d := firstRetry
	for ; n > 0 && d < lastRetry; n-- {
		d *= 2
	}
	return min(d, lastRetry)
}

// Report holds the results of emptying a namespace.
type Report struct {
	// DiscoveryError is the error of listing the resources.
	DiscoveryError error
	// DeleteErrors are the errors of deleting or counting content.
	DeleteErrors []error
	// Remaining counts the objects that are left, by resource.
	Remaining map[schema.GroupVersionResource]int
	// Finalizers counts the finalizers on them.
	Finalizers map[string]int
}

// Done reports whether nothing is left and nothing is unknown.
func (r *Report) Done() bool {
	return r.DiscoveryError == nil && len(r.DeleteErrors) == 0 && len(r.Remaining) == 0
}

// add counts objects that are left.
func (r *Report) add(gvr schema.GroupVersionResource, count int, finalizers map[string]int) {
	if count == 0 {
		return
	}
	if r.Remaining == nil {
		r.Remaining, r.Finalizers = map[schema.GroupVersionResource]int{}, map[string]int{}
	}
	r.Remaining[gvr] += count
	for f, n := range finalizers {
		r.Finalizers[f] += n
	}
}

// verdict is one condition: its texts when all is well, and otherwise.
type verdict struct {
	kind                   corev1.NamespaceConditionType
	fineReason, fine       string
	troubleReason, trouble string
}

func (r *Report) verdicts() []verdict {
	undiscovered, content, remaining, finalizers := "", "", "", ""
	if r.DiscoveryError != nil {
		undiscovered = r.DiscoveryError.Error()
		if some := new(discovery.ErrGroupDiscoveryFailed); errors.As(r.DiscoveryError, &some) {
			undiscovered = fmt.Sprintf("Discovery failed for some groups, %d failing: %v", len(some.Groups), some)
		}
	}
	if n := len(r.DeleteErrors); n > 0 {
		words := make([]string, n)
		for i, err := range r.DeleteErrors {
			words[i] = err.Error()
		}
		slices.Sort(words)
		content = fmt.Sprintf("Failed to delete all resource types, %d remaining: %s", n, strings.Join(words, ", "))
	}
	if len(r.Remaining) > 0 {
		remaining = "Some resources are remaining: " + counts(r.Remaining, func(g schema.GroupVersionResource, n int) string {
			return fmt.Sprintf("%s.%s has %d resource instances", g.Resource, g.Group, n)
		})
	}
	if len(r.Finalizers) > 0 {
		finalizers = "Some content in the namespace has finalizers remaining: " + counts(r.Finalizers, func(f string, n int) string {
			return fmt.Sprintf("%s in %d resource instances", f, n)
		})
	}
	return []verdict{
		{corev1.NamespaceDeletionDiscoveryFailure, "ResourcesDiscovered", "All resources successfully discovered", "DiscoveryFailed", undiscovered},
		{corev1.NamespaceDeletionGVParsingFailure, "ParsedGroupVersions", "All legacy kube types successfully parsed", "", ""},
		{corev1.NamespaceDeletionContentFailure, "ContentDeleted", "All content successfully deleted, may be waiting on finalization", "ContentDeletionFailed", content},
		{corev1.NamespaceContentRemaining, "ContentRemoved", "All content successfully removed", "SomeResourcesRemain", remaining},
		{corev1.NamespaceFinalizersRemaining, "ContentHasNoFinalizers", "All content-preserving finalizers finished", "SomeFinalizersRemain", finalizers},
	}
}

func counts[K comparable](m map[K]int, word func(K, int) string) string {
	var words []string
	for k, n := range m {
		words = append(words, word(k, n))
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

// ConditionChange is the difference between new conditions and the old.
type ConditionChange int

const (
	// Same means that there is nothing to write.
	Same ConditionChange = iota
	// Reworded means that only messages differ.
	Reworded
	// Different means that a status or reason differs.
	Different
)

// Conditions returns the conditions for the report.
func Conditions(old []corev1.NamespaceCondition, r *Report, now time.Time) ([]corev1.NamespaceCondition, ConditionChange) {
	out, change := slices.Clone(old), Same
	for _, v := range r.verdicts() {
		c := corev1.NamespaceCondition{
			Type: v.kind, Status: corev1.ConditionFalse, Reason: v.fineReason, Message: v.fine,
			LastTransitionTime: metav1.NewTime(now),
		}
		if v.trouble != "" {
			c.Status, c.Reason, c.Message = corev1.ConditionTrue, v.troubleReason, v.trouble
		}
		i := slices.IndexFunc(out, func(o corev1.NamespaceCondition) bool { return o.Type == v.kind })
		if i < 0 {
			out, change = append(out, c), Different
			continue
		}
		was := out[i]
		if was.Status == c.Status {
			c.LastTransitionTime = was.LastTransitionTime
		}
		switch {
		case was.Status != c.Status || was.Reason != c.Reason:
			change = Different
		case was.Message != c.Message:
			change = max(change, Reworded)
		}
		out[i] = c
	}
	return out, change
}
