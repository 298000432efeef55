// Package resourcepoolstatusrequest serves resource.k8s.io/v1alpha3
// ResourcePoolStatusRequests.
//
// The API of this package is not stable: see docs/api.md.
package resourcepoolstatusrequest

import (
	"context"
	"fmt"
	"strconv"
	"time"

	resourcev1alpha3 "k8s.io/api/resource/v1alpha3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/resource"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// Request is the kind that this package serves.
type Request = resourcev1alpha3.ResourcePoolStatusRequest

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*Request]{
		GVK:                    resourcev1alpha3.SchemeGroupVersion.WithKind("ResourcePoolStatusRequest"),
		Plural:                 "resourcepoolstatusrequests",
		ClusterScoped:          true,
		AnyFinalizer:           true,
		New:                    func() *Request { return &Request{} },
		NewList:                func() runtime.Object { return &resourcev1alpha3.ResourcePoolStatusRequestList{} },
		NoGeneration:           true,
		RequireResourceVersion: true,
		ReturnDeleted:          true,
		PrepareForCreate:       func(_ context.Context, r *Request) { resource.PreparePoolRequest(r, nil) },
		PrepareForUpdate:       func(_ context.Context, r, old *Request) { resource.PreparePoolRequest(r, old) },
		Validate:               registry.Pure(resource.ValidatePoolRequest),
		ValidateUpdate:         registry.PureUpdate(resource.ValidatePoolRequestUpdate),
		Status:                 &registry.Status[*Request]{Validate: registry.PureUpdate(resource.ValidatePoolRequestStatusUpdate), KeepMetadata: true},
		Table: &registry.Table[*Request]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Column("Driver"), registry.Column("Total"), registry.Column("Available"), registry.Column("Allocated"),
				registry.Column("Unavailable"), registry.Column("Errors"), registry.Integer("Pools"), registry.Column("Status"), registry.Column("Completed"),
			},
			Cells: cells,
		},
	}.Resource()
}

func cells(r *Request, now time.Time) []any {
	state, completed := "Pending", "<none>"
	total, available, allocated, unavailable, wrong := "-", "-", "-", "-", "-"
	var pools int32
	if s := r.Status; s != nil {
		state, completed = progress(s, now)
		if s.PoolCount != nil {
			pools = *s.PoolCount
		}
		if state == "Complete" && int(pools) > len(s.Pools) {
			state = fmt.Sprintf("Complete (%d/%d pools)", len(s.Pools), pools)
		}
		if state != "Failed" {
			total = sum(s.Pools, func(p *resourcev1alpha3.PoolStatus) *int32 { return p.TotalDevices })
			available = sum(s.Pools, func(p *resourcev1alpha3.PoolStatus) *int32 { return p.AvailableDevices })
			allocated = sum(s.Pools, func(p *resourcev1alpha3.PoolStatus) *int32 { return p.AllocatedDevices })
			unavailable = sum(s.Pools, func(p *resourcev1alpha3.PoolStatus) *int32 { return p.UnavailableDevices })
			wrong = sum(s.Pools, func(p *resourcev1alpha3.PoolStatus) *int32 {
				if p.ValidationError == nil {
					return nil
				}
				return new(int32(1))
			})
		}
	}
	return []any{r.Name, r.Spec.Driver, total, available, allocated, unavailable, wrong, int64(pools), state, completed}
}

// progress returns the condition that is true, and the time since it completed.
func progress(s *resourcev1alpha3.ResourcePoolStatusRequestStatus, now time.Time) (state, completed string) {
	for _, c := range s.Conditions {
		switch {
		case c.Status != metav1.ConditionTrue:
		case c.Type == resourcev1alpha3.ResourcePoolStatusRequestConditionComplete:
			return "Complete", registry.Age(c.LastTransitionTime, now)
		case c.Type == resourcev1alpha3.ResourcePoolStatusRequestConditionFailed:
			return "Failed", "<none>"
		}
	}
	return "Pending", "<none>"
}

func sum(pools []resourcev1alpha3.PoolStatus, of func(*resourcev1alpha3.PoolStatus) *int32) string {
	n := 0
	for i := range pools {
		if v := of(&pools[i]); v != nil {
			n += int(*v)
		}
	}
	return strconv.Itoa(n)
}
