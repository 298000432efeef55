package pods

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/internal/check"
)

const (
	claimPrefix = "claim:" // before the name of a claim among resources
	notOfClaims = "must match one of the container's resource claims as 'claim:<claimName>/<requestName>' " +
		"when container.resources.claims[*].request is set or 'claim:<claimName>' when it is empty"
	notOfRequests = "must match one of the container's resource requests"
)

// notAllocated validates that containers for debugging have no devices.
func (l *statusList) notAllocated() field.ErrorList {
	var errs field.ErrorList
	for i := range l.now {
		errs = append(errs, check.Forbid("must not be specified in container status",
			check.Given(l.path.Index(i).Child("allocatedResourcesStatus"), len(l.now[i].AllocatedResourcesStatus) > 0))...)
	}
	return errs
}

// allocated validates the health of devices: those that the container asked for.
func (l *statusList) allocated(extended *corev1.PodExtendedResourceClaimStatus) field.ErrorList {
	var errs field.ErrorList
	for i := range l.now {
		at := l.path.Index(i).Child("allocatedResourcesStatus")
		k := slices.IndexFunc(l.areNow, func(c corev1.Container) bool { return c.Name == l.now[i].Name })
		for j, r := range l.now[i].AllocatedResourcesStatus {
			if k >= 0 {
				errs = append(errs, allocatedName(at.Index(j).Child("name"), r.Name, &l.areNow[k], extended)...)
			}
			errs = append(errs, deviceHealth(at.Index(j).Child("resources"), r.Resources)...)
		}
	}
	return errs
}

func allocatedName(fldPath *field.Path, name corev1.ResourceName, c *corev1.Container, extended *corev1.PodExtendedResourceClaimStatus) field.ErrorList {
	claim, ok := strings.CutPrefix(string(name), claimPrefix)
	if !ok {
		if _, ok := c.Resources.Requests[name]; ok {
			return nil
		}
		return field.ErrorList{field.Invalid(fldPath, name, notOfRequests)}
	}
	for _, r := range c.Resources.Claims {
		if claim == r.Name && r.Request == "" || r.Request != "" && claim == r.Name+"/"+r.Request {
			return nil
		}
	}
	if isExtendedClaim(claim, c, extended) {
		return nil
	}
	return field.ErrorList{field.Invalid(fldPath, name, notOfClaims)}
}

// isExtendedClaim reports whether claim, as claim/request, was made for an
// extended resource of c.
func isExtendedClaim(claim string, c *corev1.Container, extended *corev1.PodExtendedResourceClaimStatus) bool {
	name, request, ok := strings.Cut(claim, "/")
	if extended == nil || !ok || name == "" || request == "" || name != extended.ResourceClaimName {
		return false
	}
	return slices.ContainsFunc(extended.RequestMappings, func(m corev1.ContainerExtendedResourceRequest) bool {
		q, ok := c.Resources.Requests[corev1.ResourceName(m.ResourceName)]
		return m.ContainerName == c.Name && m.RequestName == request && ok && !q.IsZero()
	})
}

func deviceHealth(fldPath *field.Path, list []corev1.ResourceHealth) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[corev1.ResourceID]()
	for i, r := range list {
		at := fldPath.Index(i)
		errs = append(errs, check.OneOf(at.Child("health"), r.Health, corev1.ResourceHealthStatusHealthy, corev1.ResourceHealthStatusUnhealthy, corev1.ResourceHealthStatusUnknown)...)
		if m := r.Message; m != nil && *m == "" {
			errs = append(errs, field.Required(at.Child("message"), "must be non-empty if specified"))
		} else if m != nil && len(*m) > corev1.ResourceHealthMessageMaxLength {
			errs = append(errs, field.TooLong(at.Child("message"), *m, corev1.ResourceHealthMessageMaxLength))
		}
		if seen.Has(r.ResourceID) {
			errs = append(errs, field.Duplicate(at.Child("resourceID"), r.ResourceID))
		}
		seen.Insert(r.ResourceID)
	}
	return errs
}
