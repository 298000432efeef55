package serviceloadbalancer

import (
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// Finalizer keeps a Service until its load balancer is gone. It is part of
// Kubernetes' contract with cloud providers.
const Finalizer = "service.kubernetes.io/load-balancer-cleanup"

// taintToBeDeleted marks a node that the cluster autoscaler is about to remove.
const taintToBeDeleted = "ToBeDeletedByClusterAutoscaler"

// memory holds the last state of a Service's load balancer.
type memory struct {
	// service is the Service the balancer was last asked for; it serves to take
	// the balancer back when the Service itself is gone.
	service *corev1.Service
	// ensured is set if the balancer is as service and nodes want it.
	ensured bool
	// nodes are those that the balancer was last called with, by name, with their provider IDs.
	nodes map[string]string
}

// observed is all that a plan is made of.
type observed struct {
	service *corev1.Service // nil: gone
	last    *memory         // nil if none is known
	nodes   []*corev1.Node  // those that may take traffic
	// stale is set if the balancer would not answer the same again.
	stale bool
}

type action int

const (
	_ action = iota // nothing
	// ensure makes the load balancer, or makes it right.
	ensure
	// updateHosts gives the load balancer other nodes.
	updateHosts
	// remove takes it back, and then the finalizer.
	remove
	// discard takes back that of a Service which is gone: there is nothing left
	// to write to, or only another Service of the same name.
	discard
)

type step struct {
	action  action
	service *corev1.Service
}

// plan returns the steps to take, in order.
func plan(o observed) []step {
	var steps []step
	last := o.last
	if last != nil && (o.service == nil || o.service.UID != last.service.UID) {
		steps, last = append(steps, step{discard, last.service}), nil
	}
	svc := o.service
	switch {
	case svc == nil, foreign(svc) && last == nil:
	case !wants(svc) || svc.DeletionTimestamp != nil:
		if last != nil || hasFinalizer(svc) {
			steps = append(steps, step{remove, svc})
		}
	case last == nil || !last.ensured || o.stale || differ(last.service, svc):
		steps = append(steps, step{ensure, svc})
	case !maps.Equal(last.nodes, identities(o.nodes)):
		steps = append(steps, step{updateHosts, svc})
	}
	return steps
}

// wants reports whether a Service is to have a load balancer from this controller.
func wants(svc *corev1.Service) bool {
	return svc.Spec.Type == corev1.ServiceTypeLoadBalancer && svc.Spec.LoadBalancerClass == nil
}

// foreign reports whether another controller makes the Service's load balancer.
func foreign(svc *corev1.Service) bool {
	return svc.Spec.Type == corev1.ServiceTypeLoadBalancer && svc.Spec.LoadBalancerClass != nil
}

func hasFinalizer(svc *corev1.Service) bool { return slices.Contains(svc.Finalizers, Finalizer) }

// differ reports whether two versions of a Service want different load balancers.
func differ(a, b *corev1.Service) bool {
	same := equality.Semantic.DeepEqual
	return !same(a.Spec.Ports, b.Spec.Ports) ||
		!same(a.Spec.LoadBalancerSourceRanges, b.Spec.LoadBalancerSourceRanges) ||
		a.Spec.SessionAffinity != b.Spec.SessionAffinity ||
		!same(a.Spec.SessionAffinityConfig, b.Spec.SessionAffinityConfig) ||
		a.Spec.LoadBalancerIP != b.Spec.LoadBalancerIP ||
		!same(a.Spec.ExternalIPs, b.Spec.ExternalIPs) ||
		!same(a.Annotations, b.Annotations) ||
		a.Spec.ExternalTrafficPolicy != b.Spec.ExternalTrafficPolicy ||
		a.Spec.HealthCheckNodePort != b.Spec.HealthCheckNodePort ||
		len(a.Spec.IPFamilies) != len(b.Spec.IPFamilies)
}

// concerns reports whether a Service's change may be a change of its load balancer.
func concerns(before, after *corev1.Service) bool {
	cleanup := hasFinalizer(after) && (after.DeletionTimestamp != nil || after.Spec.Type != corev1.ServiceTypeLoadBalancer)
	return cleanup || before.UID != after.UID || wants(before) != wants(after) || wants(after) && differ(before, after)
}

// takesTraffic reports whether load balancers may send traffic to a node. They
// find out by themselves whether it is ready.
func takesTraffic(node *corev1.Node) bool {
	if node.DeletionTimestamp != nil || excluded(node) {
		return false
	}
	return !slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == taintToBeDeleted })
}

// excluded reads the label; a value that is no boolean excludes, too.
func excluded(node *corev1.Node) bool {
	value, labelled := node.Labels[corev1.LabelNodeExcludeBalancers]
	if !labelled {
		return false
	}
	yes, err := strconv.ParseBool(value)
	return yes || err != nil
}

func identities(nodes []*corev1.Node) map[string]string {
	out := make(map[string]string, len(nodes))
	for _, n := range nodes {
		out[n.Name] = n.Spec.ProviderID
	}
	return out
}

// maxNamesInEvent bounds the names of nodes in an event.
const maxNamesInEvent = 20

func namesForEvent(nodes []*corev1.Node) []string {
	names := slices.Sorted(maps.Keys(identities(nodes)))
	if more := len(names) - maxNamesInEvent; more > 0 {
		names = append(names[:maxNamesInEvent], "<"+strconv.Itoa(more)+" more>")
	}
	return names
}
