package resource

import (
	"context"

	resourcev1alpha3 "k8s.io/api/resource/v1alpha3"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/api/validate"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// PreparePoolRequest keeps the status that a request has, and drops the field of
// partition types, whose feature is off. old is nil for a new request.
func PreparePoolRequest(r, old *resourcev1alpha3.ResourcePoolStatusRequest) {
	r.Status = nil
	if old != nil {
		r.Status = old.Status
	}
	if old == nil || old.Spec.DefaultPartitionTypeAttribute == nil {
		r.Spec.DefaultPartitionTypeAttribute = nil
	}
}

// ValidatePoolRequest validates a new ResourcePoolStatusRequest.
func ValidatePoolRequest(r *resourcev1alpha3.ResourcePoolStatusRequest) field.ErrorList {
	errs := validation.ValidateObjectMeta(&r.ObjectMeta, false, validation.NameIsDNSSubdomain, field.NewPath("metadata"))
	return append(errs, declaredPoolSpec(&r.Spec, field.NewPath("spec"))...)
}

// ValidatePoolRequestUpdate validates a changed ResourcePoolStatusRequest, whose spec stays.
func ValidatePoolRequestUpdate(r, old *resourcev1alpha3.ResourcePoolStatusRequest) field.ErrorList {
	errs := validation.ValidateObjectMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
	if !equality.Semantic.DeepEqual(r.Spec, old.Spec) {
		errs = append(errs, field.Invalid(field.NewPath("spec"), nil, "field is immutable"))
	}
	return errs
}

// ValidatePoolRequestStatusUpdate validates the answer, which is given once.
func ValidatePoolRequestStatusUpdate(r, old *resourcev1alpha3.ResourcePoolStatusRequest) field.ErrorList {
	path := field.NewPath("status")
	errs := validation.ValidateObjectMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
	switch {
	case old.Status != nil:
		if !equality.Semantic.DeepEqual(r.Status, old.Status) {
			errs = append(errs, field.Invalid(path, hub.Internal(r.Status), validation.FieldImmutableErrorMsg))
		}
	case r.Status != nil:
		errs = append(errs, metav1validation.ValidateConditions(r.Status.Conditions, path.Child("conditions"))...)
		errs = append(errs, declaredPoolStatus(r.Status, path)...)
	}
	return errs
}

func declaredPoolSpec(s *resourcev1alpha3.ResourcePoolStatusRequestSpec, path *field.Path) field.ErrorList {
	errs := declaredName(s.Driver, path.Child("driver"), validate.LongNameCaseless[string])
	if s.PoolName != nil {
		errs = append(errs, declared(validate.ResourcePoolName[string], s.PoolName, path.Child("poolName"))...)
	}
	if s.Limit != nil {
		errs = append(errs, atLeast(s.Limit, 1, path.Child("limit"))...)
		errs = append(errs, validate.Maximum(context.Background(), operation.Operation{}, path.Child("limit"), s.Limit, nil, resourcev1alpha3.ResourcePoolStatusRequestLimitMax)...)
	}
	if s.DefaultPartitionTypeAttribute != nil {
		errs = append(errs, declared(validate.ForbiddenPointer[string], s.DefaultPartitionTypeAttribute, path.Child("defaultPartitionTypeAttribute"))...)
	}
	return errs
}

func declaredPoolStatus(s *resourcev1alpha3.ResourcePoolStatusRequestStatus, path *field.Path) field.ErrorList {
	errs := count(s.PoolCount, path.Child("poolCount"))
	errs = append(errs, declaredList(s.Pools, int(resourcev1alpha3.ResourcePoolStatusRequestLimitMax), path.Child("pools"), declaredPool)...)
	return append(errs, declaredMax(s.Conditions, 10, path.Child("conditions"))...)
}

func declaredPool(p *resourcev1alpha3.PoolStatus, path *field.Path) field.ErrorList {
	errs := declaredName(p.Driver, path.Child("driver"), validate.LongNameCaseless[string])
	errs = append(errs, declaredName(p.PoolName, path.Child("poolName"), validate.ResourcePoolName[string])...)
	if p.Generation == 0 {
		errs = append(errs, field.Required(path.Child("generation"), ""))
	} else {
		errs = append(errs, atLeast(&p.Generation, 0, path.Child("generation"))...)
	}
	errs = append(errs, atLeast(p.ResourceSliceCount, 1, path.Child("resourceSliceCount"))...)
	for _, n := range []struct {
		name  string
		value *int32
	}{{"totalDevices", p.TotalDevices}, {"allocatedDevices", p.AllocatedDevices}, {"availableDevices", p.AvailableDevices}, {"unavailableDevices", p.UnavailableDevices}} {
		errs = append(errs, atLeast(n.value, 0, path.Child(n.name))...)
	}
	errs = append(errs, declared(validate.LongName[string], p.NodeName, path.Child("nodeName"))...)
	if p.ValidationError != nil {
		errs = append(errs, declaredBytes(*p.ValidationError, 256, path.Child("validationError"))...)
	}
	errs = append(errs, declaredSet(p.PartitionSummary, 32, path.Child("partitionSummary"), func(a, b *resourcev1alpha3.PartitionTypeStatus) bool {
		return a.Attribute == b.Attribute && a.Type == b.Type
	}, declaredPartition)...)
	if s := p.ShareableSummary; s != nil {
		at := path.Child("shareableSummary")
		errs = append(errs, count(s.FullyAvailableDevices, at.Child("fullyAvailableDevices"))...)
		errs = append(errs, count(s.PartiallyAvailableDevices, at.Child("partiallyAvailableDevices"))...)
		errs = append(errs, declaredList(s.Capacity, 32, at.Child("capacity"), declaredShare)...)
	}
	return errs
}

func declaredPartition(t *resourcev1alpha3.PartitionTypeStatus, path *field.Path) field.ErrorList {
	errs := declaredName(t.Attribute, path.Child("attribute"))
	errs = append(errs, declaredName(t.Type, path.Child("type"))...)
	errs = append(errs, count(t.Total, path.Child("total"))...)
	return append(errs, count(t.Allocatable, path.Child("allocatable"))...)
}

func declaredShare(s *resourcev1alpha3.ShareableCapacityStatus, path *field.Path) field.ErrorList {
	errs := declaredName(s.Name, path.Child("name"))
	errs = append(errs, declared(validate.RequiredPointer, s.Total, path.Child("total"))...)
	errs = append(errs, declared(validate.RequiredPointer, s.Consumed, path.Child("consumed"))...)
	return append(errs, declared(validate.RequiredPointer, s.Available, path.Child("available"))...)
}

// count validates a number that must be given and not be negative.
func count(n *int32, path *field.Path) field.ErrorList {
	if n == nil {
		return field.ErrorList{field.Required(path, "")}
	}
	return atLeast(n, 0, path)
}

func atLeast[T int32 | int64](n *T, least T, path *field.Path) field.ErrorList {
	return validate.Minimum(context.Background(), operation.Operation{}, path, n, nil, least)
}
