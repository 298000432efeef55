package endpointslice

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	endpointsliceutil "k8s.io/endpointslice/util"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/controllers/internal/scrape"
)

const subsystem = "endpoint_slice_controller"

// metrics have upstream's names.
type metrics struct {
	added, removed prometheus.Histogram
	changed        *prometheus.HistogramVec
	changes, syncs *prometheus.CounterVec
}

func newMetrics() metrics {
	perSync := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Subsystem: subsystem, Name: name, Help: "[BETA] " + help, Buckets: prometheus.ExponentialBuckets(2, 2, 15)})
	}
	return metrics{
		added:   perSync("endpoints_added_per_sync", "Number of endpoints added on each Service sync"),
		removed: perSync("endpoints_removed_per_sync", "Number of endpoints removed on each Service sync"),
		changed: prometheus.NewHistogramVec(prometheus.HistogramOpts{Subsystem: subsystem, Name: "endpointslices_changed_per_sync", Help: "[ALPHA] Number of EndpointSlices changed on each Service sync"},
			[]string{"topology", "traffic_distribution"}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{Subsystem: subsystem, Name: "changes", Help: "[ALPHA] Number of EndpointSlice changes"}, []string{"operation"}),
		syncs:   prometheus.NewCounterVec(prometheus.CounterOpts{Subsystem: subsystem, Name: "syncs", Help: "[ALPHA] Number of EndpointSlice syncs"}, []string{"result"}),
	}
}

// Collectors returns the metrics, to be registered with a registry of the cluster.
func (r *Reconciler) Collectors() []prometheus.Collector {
	gauge := func(name, help string, value func([]discoveryv1.EndpointSlice) int) prometheus.Collector {
		return scrape.NewGauge(subsystem+"_"+name, "[BETA] "+help, nil, func(ctx context.Context, n scrape.Counts) error {
			list, err := scrape.List[discoveryv1.EndpointSliceList](ctx, r.client, client.MatchingLabels{discoveryv1.LabelManagedBy: ManagedBy})
			n.Add(value(list.Items))
			return err
		})
	}
	return []prometheus.Collector{
		r.metrics.added, r.metrics.removed, r.metrics.changed, r.metrics.changes, r.metrics.syncs,
		gauge("num_endpoint_slices", "Number of EndpointSlices", func(all []discoveryv1.EndpointSlice) int { return len(all) }),
		gauge("endpoints_desired", "Number of endpoints desired", func(all []discoveryv1.EndpointSlice) (n int) {
			for i := range all {
				n += len(all[i].Endpoints)
			}
			return n
		}),
		gauge("desired_endpoint_slices", "Number of EndpointSlices that would exist with perfect endpoint allocation", r.fewest),
		scrape.NewGauge(subsystem+"_services_count_by_traffic_distribution", "[BETA] Number of Services using some specific trafficDistribution", []string{"traffic_distribution"},
			func(ctx context.Context, n scrape.Counts) error {
				list, err := scrape.List[corev1.ServiceList](ctx, r.client)
				for i := range list.Items {
					if d := list.Items[i].Spec.TrafficDistribution; d != nil {
						n.Add(1, *d)
					}
				}
				return err
			}),
	}
}

// fewest is how few slices could hold what these do.
func (r *Reconciler) fewest(all []discoveryv1.EndpointSlice) int {
	together := map[string]int{}
	for i := range all {
		s := &all[i]
		key := fmt.Sprint(s.Namespace, "/", s.Labels[discoveryv1.LabelServiceName], "/", s.AddressType, "/", endpointsliceutil.NewPortMapKey(s.Ports))
		together[key] += len(s.Endpoints)
	}
	n := 0
	for _, endpoints := range together {
		n += max(1, (endpoints+r.max-1)/r.max)
	}
	return n
}

// synced counts a look at a Service that led to writes, or to none.
func (m metrics) synced(o observed, planned map[discoveryv1.AddressType]*changes, err error) {
	result := "success"
	if err != nil {
		result = "error"
	}
	m.syncs.WithLabelValues(result).Inc()
	before, after, writes := map[string]bool{}, map[string]bool{}, 0
	for _, c := range planned {
		m.count("create", len(c.create))
		m.count("update", len(c.update))
		m.count("delete", len(c.remove))
		writes += len(c.create) + len(c.update) + len(c.remove)
		rewritten := map[string]bool{}
		for _, list := range [][]*discoveryv1.EndpointSlice{c.update, c.remove} {
			for _, s := range list {
				rewritten[s.Name] = true
			}
		}
		for _, s := range o.slices {
			if rewritten[s.Name] {
				note(before, s)
			}
		}
		for _, list := range [][]*discoveryv1.EndpointSlice{c.create, c.update} {
			for _, s := range list {
				note(after, s)
			}
		}
	}
	m.added.Observe(float64(missing(after, before)))
	m.removed.Observe(float64(missing(before, after)))
	topology := "Disabled"
	if topologyAuto(o.service) {
		topology = "Auto"
	}
	m.changed.WithLabelValues(topology, ptr.Deref(o.service.Spec.TrafficDistribution, "")).Observe(float64(writes))
}

func (m metrics) count(operation string, n int) {
	if n > 0 {
		m.changes.WithLabelValues(operation).Add(float64(n))
	}
}

func note(endpoints map[string]bool, s *discoveryv1.EndpointSlice) {
	ports := endpointsliceutil.NewPortMapKey(s.Ports)
	for i := range s.Endpoints {
		if a := s.Endpoints[i].Addresses; len(a) > 0 {
			endpoints[string(ports)+a[0]] = true
		}
	}
}

// missing is how many of these are not among others.
func missing(these, others map[string]bool) int {
	n := 0
	for e := range these {
		if !others[e] {
			n++
		}
	}
	return n
}
