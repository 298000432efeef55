package namespace

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// TestFinalizersOfDeletion marks namespaces by the options' handling of dependents.
func TestFinalizersOfDeletion(t *testing.T) {
	const orphan, foreground = metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents
	for name, c := range map[string]struct {
		before  []string
		options metav1.DeleteOptions
		want    []string
	}{
		"nothing said":       {nil, metav1.DeleteOptions{}, nil},
		"nothing said twice": {[]string{orphan}, metav1.DeleteOptions{}, []string{orphan}},
		"orphan":             {nil, metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationOrphan)}, []string{orphan}},
		"foreground":         {[]string{orphan}, metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationForeground)}, []string{foreground}},
		"background":         {[]string{"a/b", foreground}, metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)}, []string{"a/b"}},
		"orphans":            {nil, metav1.DeleteOptions{OrphanDependents: ptr.To(true)}, []string{orphan}},
		"no orphans":         {nil, metav1.DeleteOptions{OrphanDependents: ptr.To(false)}, []string{foreground}},
	} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Finalizers: slices.Clone(c.before)}}
		markTerminating(ns, metav1.Now(), &c.options)
		if !slices.Equal(ns.Finalizers, c.want) || ns.Status.Phase != corev1.NamespaceTerminating || ns.DeletionTimestamp == nil {
			t.Errorf("%s: %v, %s", name, ns.Finalizers, ns.Status.Phase)
		}
	}
}
