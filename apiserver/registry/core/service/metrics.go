package service

import (
	"math/bits"
	"net/netip"
	"time"

	"k8s.io/component-base/metrics"
)

// Scopes of an allocation: of a certain number, or of any.
const (
	static  = "static"
	dynamic = "dynamic"
)

// counts are metrics of allocations under upstream's names
// (pkg/registry/core/service/ipallocator and portallocator, metrics.go).
type counts struct {
	ips, freeIPs               *metrics.GaugeVec
	ipAllocations, ipErrors    *metrics.CounterVec
	ipLatency                  *metrics.HistogramVec
	ports, freePorts           *metrics.Gauge
	portAllocations, portFails *metrics.CounterVec
}

// newCounts registers the metrics; without a registry they count nothing.
func newCounts(register func(...metrics.Registerable)) *counts {
	const namespace, ofIPs, ofPorts = "kube_apiserver", "clusterip_allocator", "nodeport_allocator"
	gauge := func(subsystem, name, help string) *metrics.GaugeOpts {
		return &metrics.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help, StabilityLevel: metrics.ALPHA}
	}
	counter := func(subsystem, name, help string) *metrics.CounterOpts {
		return &metrics.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help, StabilityLevel: metrics.ALPHA}
	}
	c := &counts{
		ips:           metrics.NewGaugeVec(gauge(ofIPs, "allocated_ips", "Gauge measuring the number of allocated IPs for Services"), []string{"cidr"}),
		freeIPs:       metrics.NewGaugeVec(gauge(ofIPs, "available_ips", "Gauge measuring the number of available IPs for Services"), []string{"cidr"}),
		ipAllocations: metrics.NewCounterVec(counter(ofIPs, "allocation_total", "Number of Cluster IPs allocations"), []string{"cidr", "scope"}),
		ipErrors:      metrics.NewCounterVec(counter(ofIPs, "allocation_errors_total", "Number of errors trying to allocate Cluster IPs"), []string{"cidr", "scope"}),
		ipLatency: metrics.NewHistogramVec(&metrics.HistogramOpts{Namespace: namespace, Subsystem: ofIPs, Name: "allocation_duration_seconds",
			Help: "Duration in seconds to allocate a Cluster IP by ServiceCIDR", Buckets: metrics.DefBuckets, StabilityLevel: metrics.ALPHA}, []string{"cidr"}),
		ports:           metrics.NewGauge(gauge(ofPorts, "allocated_ports", "Gauge measuring the number of allocated NodePorts for Services")),
		freePorts:       metrics.NewGauge(gauge(ofPorts, "available_ports", "Gauge measuring the number of available NodePorts for Services")),
		portAllocations: metrics.NewCounterVec(counter(ofPorts, "allocation_total", "Number of NodePort allocations"), []string{"scope"}),
		portFails:       metrics.NewCounterVec(counter(ofPorts, "allocation_errors_total", "Number of errors trying to allocate NodePort"), []string{"scope"}),
	}
	if register != nil {
		register(c.ips, c.freeIPs, c.ipAllocations, c.ipErrors, c.ipLatency, c.ports, c.freePorts, c.portAllocations, c.portFails)
	}
	return c
}

// ip records that an address of a range was asked for, at a time since when it took.
func (c *counts) ip(prefix netip.Prefix, scope string, began time.Time, err error) {
	if err != nil {
		c.ipErrors.WithLabelValues(prefix.String(), scope).Inc()
		return
	}
	c.ipAllocations.WithLabelValues(prefix.String(), scope).Inc()
	c.ipLatency.WithLabelValues(prefix.String()).Observe(time.Since(began).Seconds())
}

func (c *counts) port(scope string, err error) {
	if err != nil {
		c.portFails.WithLabelValues(scope).Inc()
		return
	}
	c.portAllocations.WithLabelValues(scope).Inc()
}

// countIP records the outcome of an allocation, by the range of the address.
func (t *transaction) countIP(scope string, ip *string, began time.Time, err *error) {
	if t.dryRun {
		return
	}
	prefix := t.a.base
	if addr, failed := netip.ParseAddr(*ip); failed == nil && !prefix.Contains(addr) {
		t.a.mu.Lock()
		for p := range t.a.pools {
			if p.Contains(addr) {
				prefix = p
			}
		}
		t.a.mu.Unlock()
	}
	t.a.counts.ip(prefix, scope, began, *err)
}

func (t *transaction) countPort(scope string, err *error) {
	if !t.dryRun {
		t.a.counts.port(scope, *err)
	}
}

// countUsed sets how much of each range is taken. The caller holds mu.
func (a *allocator) countUsed() {
	for prefix, p := range a.pools {
		a.counts.ips.WithLabelValues(prefix.String()).Set(float64(p.taken()))
		a.counts.freeIPs.WithLabelValues(prefix.String()).Set(float64(p.size - p.taken()))
	}
	a.counts.ports.Set(float64(a.ports.taken()))
	a.counts.freePorts.Set(float64(a.ports.size - a.ports.taken()))
}

// taken returns how many numbers are taken.
func (p *pool) taken() int {
	n := 0
	for _, word := range p.used {
		n += bits.OnesCount64(word)
	}
	return n
}
