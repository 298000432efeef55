// Package coordination installs and validates the coordination.k8s.io group.
//
// The API of this package is not stable: see docs/api.md.
package coordination

import (
	"fmt"

	coordinationv1 "k8s.io/api/coordination/v1"
	coordinationv1alpha2 "k8s.io/api/coordination/v1alpha2"
	coordinationv1beta1 "k8s.io/api/coordination/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers coordination.k8s.io/v1 and its hub in s.
func Install(s *runtime.Scheme) error {
	if err := coordinationv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", coordinationv1.SchemeGroupVersion, err)
	}
	gv := coordinationv1beta1.SchemeGroupVersion
	metav1.AddToGroupVersion(s, gv)
	s.AddKnownTypes(gv, &coordinationv1beta1.LeaseCandidate{}, &coordinationv1beta1.LeaseCandidateList{})
	for _, gv := range []schema.GroupVersion{coordinationv1.SchemeGroupVersion, gv} {
		if err := hub.Add(s, gv); err != nil {
			return err
		}
	}
	return hub.AddVersion(s, coordinationv1alpha2.SchemeGroupVersion, []runtime.Object{
		&coordinationv1alpha2.LeaseCandidate{}, &coordinationv1alpha2.LeaseCandidateList{},
	})
}
