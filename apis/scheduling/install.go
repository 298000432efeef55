// Package scheduling installs, defaults and validates the scheduling.k8s.io
// group.
//
// The API of this package is not stable: see docs/api.md.
package scheduling

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers scheduling.k8s.io/v1, its hub and its defaults in s.
func Install(s *runtime.Scheme) error {
	if err := schedulingv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", schedulingv1.SchemeGroupVersion, err)
	}
	s.AddTypeDefaultingFunc(&schedulingv1.PriorityClass{}, func(obj any) { SetDefaultsPriorityClass(obj.(*schedulingv1.PriorityClass)) })
	s.AddTypeDefaultingFunc(&schedulingv1.PriorityClassList{}, func(obj any) {
		list := obj.(*schedulingv1.PriorityClassList)
		for i := range list.Items {
			SetDefaultsPriorityClass(&list.Items[i])
		}
	})
	return hub.Add(s, schedulingv1.SchemeGroupVersion)
}

// SetDefaultsPriorityClass lets pods of the class preempt others.
func SetDefaultsPriorityClass(c *schedulingv1.PriorityClass) {
	if c.PreemptionPolicy == nil {
		c.PreemptionPolicy = ptr.To(corev1.PreemptLowerPriority)
	}
}
