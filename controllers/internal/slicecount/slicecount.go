// Package slicecount measures EndpointSlices, for the two controllers that write
// them.
//
// The API of this package is not stable: see docs/api.md.
package slicecount

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	endpointsliceutil "k8s.io/endpointslice/util"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/controllers/internal/scrape"
)

// Kept selects the slices that are counted, and names their metrics.
type Kept struct {
	// Subsystem and Stability ("ALPHA", "BETA") are the metrics'.
	Subsystem, Stability string
	// ManagedBy is the slices' label.
	ManagedBy string
	// PerSlice is how many endpoints a slice may have.
	PerSlice int
}

// Gauges count all slices that are kept, read through c.
func (k Kept) Gauges(c client.Reader) []prometheus.Collector {
	gauge := func(name, help string, value func([]discoveryv1.EndpointSlice) int) prometheus.Collector {
		return scrape.NewGauge(k.Subsystem+"_"+name, "["+k.Stability+"] "+help, nil, func(ctx context.Context, n scrape.Counts) error {
			list, err := scrape.List[discoveryv1.EndpointSliceList](ctx, c, client.MatchingLabels{discoveryv1.LabelManagedBy: k.ManagedBy})
			n.Add(value(list.Items))
			return err
		})
	}
	return []prometheus.Collector{
		gauge("num_endpoint_slices", "Number of EndpointSlices", func(all []discoveryv1.EndpointSlice) int { return len(all) }),
		gauge("endpoints_desired", "Number of endpoints desired", func(all []discoveryv1.EndpointSlice) (n int) {
			for i := range all {
				n += len(all[i].Endpoints)
			}
			return n
		}),
		gauge("desired_endpoint_slices", "Number of EndpointSlices that would exist with perfect endpoint allocation", k.fewest),
	}
}

// fewest returns how few slices could hold what these do.
func (k Kept) fewest(all []discoveryv1.EndpointSlice) int {
	together := map[string]int{}
	for i := range all {
		s := &all[i]
		key := fmt.Sprint(s.Namespace, "/", s.Labels[discoveryv1.LabelServiceName], "/", s.AddressType, "/", endpointsliceutil.NewPortMapKey(s.Ports))
		together[key] += len(s.Endpoints)
	}
	n := 0
	for _, endpoints := range together {
		n += max(1, (endpoints+k.PerSlice-1)/k.PerSlice)
	}
	return n
}

// Moves returns how many endpoints were added, updated and removed when the
// slices of before became those of after.
func Moves(before, after []*discoveryv1.EndpointSlice) (added, updated, removed int) {
	was, is := byPlace(before), byPlace(after)
	for place, e := range is {
		switch old := was[place]; {
		case old == nil:
			added++
		case !apiequality.Semantic.DeepEqual(old, e):
			updated++
		}
	}
	for place := range was {
		if is[place] == nil {
			removed++
		}
	}
	return added, updated, removed
}

// byPlace returns endpoints by their ports and first address.
func byPlace(all []*discoveryv1.EndpointSlice) map[string]*discoveryv1.Endpoint {
	found := map[string]*discoveryv1.Endpoint{}
	for _, s := range all {
		ports := endpointsliceutil.NewPortMapKey(s.Ports)
		for i := range s.Endpoints {
			if a := s.Endpoints[i].Addresses; len(a) > 0 {
				found[string(ports)+a[0]] = &s.Endpoints[i]
			}
		}
	}
	return found
}

// Rewritten returns those slices of have that others, of the same name, replace.
func Rewritten(have []*discoveryv1.EndpointSlice, others ...[]*discoveryv1.EndpointSlice) []*discoveryv1.EndpointSlice {
	names := map[string]bool{}
	for _, list := range others {
		for _, s := range list {
			names[s.Name] = true
		}
	}
	var found []*discoveryv1.EndpointSlice
	for _, s := range have {
		if names[s.Name] {
			found = append(found, s)
		}
	}
	return found
}
