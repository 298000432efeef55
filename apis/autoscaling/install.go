// Package autoscaling installs, defaults, converts and validates the
// autoscaling group: Scale, the kind of every scale subresource, and
// HorizontalPodAutoscaler, whose hub is v2 and whose v1 keeps in annotations
// what it has no fields for.
//
// The API of this package is not stable: see docs/api.md.
package autoscaling

import (
	"fmt"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers autoscaling/v2 and v1, their hub, defaults and conversions
// in s.
func Install(s *runtime.Scheme) error {
	if err := autoscalingv2.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", autoscalingv2.SchemeGroupVersion, err)
	}
	if err := autoscalingv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", autoscalingv1.SchemeGroupVersion, err)
	}
	if err := s.SetVersionPriority(autoscalingv2.SchemeGroupVersion, autoscalingv1.SchemeGroupVersion); err != nil {
		return fmt.Errorf("ordering the versions of %s: %w", autoscalingv2.GroupName, err)
	}
	if err := addConversions(s); err != nil {
		return fmt.Errorf("registering conversions of %s: %w", autoscalingv1.SchemeGroupVersion, err)
	}
	addDefaults(s)
	if err := hub.Add(s, autoscalingv2.SchemeGroupVersion); err != nil {
		return err
	}
	return hub.Add(s, autoscalingv1.SchemeGroupVersion) // adds Scale
}
