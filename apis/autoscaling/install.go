// Package autoscaling installs the autoscaling group. It holds Scale, the kind
// of every scale subresource.
package autoscaling

import (
	"fmt"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers autoscaling/v1 and its hub in s.
func Install(s *runtime.Scheme) error {
	if err := autoscalingv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", autoscalingv1.SchemeGroupVersion, err)
	}
	return hub.Add(s, autoscalingv1.SchemeGroupVersion)
}
