package resourceclaim

import (
	"context"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/controllers/internal/scrape"
)

// Collectors returns the metrics, to be registered with a registry of the
// cluster. They have upstream's names.
func (r *Reconciler) Collectors() []prometheus.Collector {
	return []prometheus.Collector{scrape.NewGauge("dynamic_resource_allocation_resource_claims",
		"[ALPHA] Number of ResourceClaims, categorized by allocation status, admin access, and source. Source can be 'resource_claim_template' (created from a template), 'extended_resource' (extended resources), or empty (manually created by a user).",
		[]string{"allocated", "admin_access", "source"},
		func(ctx context.Context, counts scrape.Counts) error {
			list, err := scrape.List[resourcev1.ResourceClaimList](ctx, r.client)
			for i := range list.Items {
				c := &list.Items[i]
				counts.Add(1, strconv.FormatBool(c.Status.Allocation != nil), strconv.FormatBool(forAdmin(c)), source(c))
			}
			return err
		})}
}

func forAdmin(c *resourcev1.ResourceClaim) bool {
	for _, r := range c.Spec.Devices.Requests {
		if r.Exactly != nil && ptr.Deref(r.Exactly.AdminAccess, false) {
			return true
		}
	}
	return false
}

func source(c *resourcev1.ResourceClaim) string {
	switch {
	case c.Annotations[resourcev1.ExtendedResourceClaimAnnotation] == "true":
		return "extended_resource"
	case c.Annotations[resourcev1.PodResourceClaimAnnotation] != "":
		return "resource_claim_template"
	}
	return ""
}
