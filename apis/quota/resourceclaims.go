package quota

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/utils/clock"
)

var resourceClaimsResource = resourcev1.SchemeGroupVersion.WithResource("resourceclaims")

const countResourceClaims = corev1.ResourceName("count/resourceclaims.resource.k8s.io")

func newResourceClaims(list List, clk clock.PassiveClock) quotav1.Evaluator {
	e := extendedClaims{list: list, clock: clk}
	return &evaluator{
		resource: resourceClaimsResource.GroupResource(),
		list:     list.of(resourceClaimsResource),
		limits: func(r corev1.ResourceName) bool {
			return r == countResourceClaims || strings.HasSuffix(string(r), corev1.ResourceClaimsPerClass) || e.limits(r)
		},
		handles: createOrUpdate,
		usage: func(o runtime.Object) (corev1.ResourceList, error) {
			c, err := as[*resourcev1.ResourceClaim](o)
			if err != nil {
				return nil, err
			}
			usage := ResourceClaimUsage(c)
			return usage, e.charge(usage, c)
		},
	}
}

// ResourceClaimUsage returns what a claim for devices uses: for each class of
// devices as many as it may be given. Of alternatives the most expensive counts.
func ResourceClaimUsage(c *resourcev1.ResourceClaim) corev1.ResourceList {
	devices := map[string]int64{}
	for i := range c.Spec.Devices.Requests {
		r := &c.Spec.Devices.Requests[i]
		if len(r.FirstAvailable) == 0 {
			if r.Exactly != nil {
				devices[r.Exactly.DeviceClassName] += atMost(r.Exactly.AllocationMode, r.Exactly.Count)
			}
			continue
		}
		most := map[string]int64{}
		for j := range r.FirstAvailable {
			s := &r.FirstAvailable[j]
			most[s.DeviceClassName] = max(most[s.DeviceClassName], atMost(s.AllocationMode, s.Count))
		}
		for class, n := range most {
			devices[class] += n
		}
	}
	usage := corev1.ResourceList{countResourceClaims: *resource.NewQuantity(1, resource.DecimalSI)}
	for _, class := range slices.Sorted(maps.Keys(devices)) {
		usage[corev1.ResourceName(class+corev1.ResourceClaimsPerClass)] = *resource.NewQuantity(devices[class], resource.DecimalSI)
	}
	return usage
}

// atMost returns the highest number of devices that a request may get; of a mode
// that is not known, none.
func atMost(mode resourcev1.DeviceAllocationMode, count int64) int64 {
	switch mode {
	case resourcev1.DeviceAllocationModeExactCount:
		return count
	case resourcev1.DeviceAllocationModeAll:
		return resourcev1.AllocationResultsMaxSize
	}
	return 0
}
