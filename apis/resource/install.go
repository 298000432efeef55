// Package resource installs, defaults and validates the group resource.k8s.io:
// devices that drivers offer and pods claim.
//
// Fields of features that are alpha in Kubernetes v1.37 (derived attributes,
// lists as attributes, node allocatable resources, skipped node operations,
// partition types, compatibility groups) are dropped on the way in, as upstream
// does; see drop.go.
//
// The API of this package is not stable: see docs/api.md.
package resource

import (
	"fmt"
	"slices"
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	resourcev1alpha3 "k8s.io/api/resource/v1alpha3"
	resourcev1beta1 "k8s.io/api/resource/v1beta1"
	resourcev1beta2 "k8s.io/api/resource/v1beta2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers resource.k8s.io/v1, its hub, its defaults and field labels in s,
// and v1beta2, v1beta1 and v1alpha3. ResourcePoolStatusRequests are of v1alpha3 alone.
func Install(s *runtime.Scheme) error {
	gv := resourcev1.SchemeGroupVersion
	if err := resourcev1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", gv, err)
	}
	addDefaults(s)
	for _, gv := range []schema.GroupVersion{gv, resourcev1beta2.SchemeGroupVersion, resourcev1beta1.SchemeGroupVersion} {
		if err := addFieldLabels(s, gv); err != nil {
			return err
		}
	}
	metav1.AddToGroupVersion(s, resourcev1alpha3.SchemeGroupVersion)
	s.AddKnownTypes(resourcev1alpha3.SchemeGroupVersion, &resourcev1alpha3.ResourcePoolStatusRequest{}, &resourcev1alpha3.ResourcePoolStatusRequestList{})
	for _, gv := range []schema.GroupVersion{gv, resourcev1alpha3.SchemeGroupVersion} {
		if err := hub.Add(s, gv); err != nil {
			return err
		}
	}
	return addVersions(s)
}

func addFieldLabels(s *runtime.Scheme, gv schema.GroupVersion) error {
	if err := s.AddFieldLabelConversionFunc(gv.WithKind("ResourceSlice"), func(label, value string) (string, string, error) {
		if slices.Contains([]string{"metadata.name", resourcev1.ResourceSliceSelectorNodeName, resourcev1.ResourceSliceSelectorDriver, resourcev1.ResourceSliceSelectorPoolName}, label) {
			return label, value, nil
		}
		return "", "", fmt.Errorf("field label not supported for %s: %s", gv.WithKind("ResourceSlice"), label)
	}); err != nil {
		return fmt.Errorf("registering field labels of %s: %w", gv, err)
	}
	return nil
}

func addDefaults(s *runtime.Scheme) {
	add(s, setClaimAndStatus, func(l *resourcev1.ResourceClaimList) []resourcev1.ResourceClaim { return l.Items })
	add(s, func(t *resourcev1.ResourceClaimTemplate) { setClaim(&t.Spec.Spec) }, func(l *resourcev1.ResourceClaimTemplateList) []resourcev1.ResourceClaimTemplate { return l.Items })
	add(s, setSlice, func(l *resourcev1.ResourceSliceList) []resourcev1.ResourceSlice { return l.Items })
	add(s, setPoolRequest, func(l *resourcev1alpha3.ResourcePoolStatusRequestList) []resourcev1alpha3.ResourcePoolStatusRequest {
		return l.Items
	})
	add(s, func(r *resourcev1.DeviceTaintRule) { setTaint(&r.Spec.Taint) }, func(l *resourcev1.DeviceTaintRuleList) []resourcev1.DeviceTaintRule { return l.Items })
}

// add registers the defaults of a kind and of its list.
func add[T, L any](s *runtime.Scheme, set func(*T), items func(*L) []T) {
	s.AddTypeDefaultingFunc(any(new(T)).(runtime.Object), func(obj any) { set(obj.(*T)) })
	s.AddTypeDefaultingFunc(any(new(L)).(runtime.Object), func(obj any) {
		list := items(obj.(*L))
		for i := range list {
			set(&list[i])
		}
	})
}

func setClaimAndStatus(c *resourcev1.ResourceClaim) {
	setClaim(&c.Spec)
	if a := c.Status.Allocation; a != nil {
		for i := range a.Devices.Results {
			setTolerations(a.Devices.Results[i].Tolerations)
		}
	}
}

func setClaim(spec *resourcev1.ResourceClaimSpec) {
	for i := range spec.Devices.Requests {
		r := &spec.Devices.Requests[i]
		if r.Exactly != nil {
			setMode(&r.Exactly.AllocationMode, &r.Exactly.Count)
			setTolerations(r.Exactly.Tolerations)
		}
		for j := range r.FirstAvailable {
			setMode(&r.FirstAvailable[j].AllocationMode, &r.FirstAvailable[j].Count)
			setTolerations(r.FirstAvailable[j].Tolerations)
		}
	}
}

func setMode(mode *resourcev1.DeviceAllocationMode, count *int64) {
	if *mode == "" {
		*mode = resourcev1.DeviceAllocationModeExactCount
	}
	if *mode == resourcev1.DeviceAllocationModeExactCount && *count == 0 {
		*count = 1
	}
}

func setTolerations(tolerations []resourcev1.DeviceToleration) {
	for i := range tolerations {
		if tolerations[i].Operator == "" {
			tolerations[i].Operator = resourcev1.DeviceTolerationOpEqual
		}
	}
}

func setSlice(s *resourcev1.ResourceSlice) {
	for i := range s.Spec.Devices {
		for j := range s.Spec.Devices[i].Taints {
			setTaint(&s.Spec.Devices[i].Taints[j])
		}
	}
}

func setPoolRequest(r *resourcev1alpha3.ResourcePoolStatusRequest) {
	if r.Spec.Limit == nil {
		r.Spec.Limit = new(resourcev1alpha3.ResourcePoolStatusRequestLimitDefault)
	}
}

// setTaint notes when a taint came. Defaults know no clock but the machine's.
func setTaint(t *resourcev1.DeviceTaint) {
	if t.TimeAdded == nil {
		t.TimeAdded = &metav1.Time{Time: time.Now().Truncate(time.Second)}
	}
}
