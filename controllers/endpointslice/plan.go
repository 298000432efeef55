package endpointslice

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	endpointsliceutil "k8s.io/endpointslice/util"
)

// ManagedBy is the value of the label endpointslice.kubernetes.io/managed-by on
// this controller's slices, part of Kubernetes' API.
const ManagedBy = "endpointslice-controller.k8s.io"

// observed is all a plan is made of. Nothing in it is changed.
type observed struct {
	service *corev1.Service
	// pods are those the Service selects.
	pods []*corev1.Pod
	// zones maps the names of nodes that exist to their zone, which may be "".
	zones map[string]string
	// slices are those of the Service that this controller manages.
	slices []*discoveryv1.EndpointSlice
	// max is the number of endpoints a slice may hold.
	max int
}

// changes are the writes that make the slices right. Objects to create or
// update are the plan's own copies.
type changes struct {
	create, update, remove []*discoveryv1.EndpointSlice
	// unchanged are the slices that stay as they are, shared with the cache.
	unchanged []*discoveryv1.EndpointSlice
	// missingNodes is set if a pod was left out because its node is not known
	// (yet): the Service must be looked at again.
	missingNodes bool
}

// plan returns, per address family, the changes to the Service's slices. Hints
// are not decided here. Slices of families the Service no longer has, or owned
// by an earlier Service of the name, are removed.
func plan(o observed) map[discoveryv1.AddressType]*changes {
	out := map[discoveryv1.AddressType]*changes{}
	for _, family := range addressTypes(o.service) {
		out[family] = &changes{}
	}
	existing := map[discoveryv1.AddressType][]*discoveryv1.EndpointSlice{}
	for _, s := range o.slices {
		if out[s.AddressType] == nil {
			out[s.AddressType] = &changes{}
		}
		existing[s.AddressType] = append(existing[s.AddressType], s)
	}
	wanted := addressTypes(o.service)
	for family, c := range out {
		if !slices.Contains(wanted, family) {
			c.remove = existing[family]
			continue
		}
		planFamily(o, family, existing[family], c)
	}
	return out
}

// group is the endpoints that share one set of ports, and the slices there are
// for them.
type group struct {
	ports    []discoveryv1.EndpointPort
	desired  map[string]*discoveryv1.Endpoint
	existing []*discoveryv1.EndpointSlice
}

func planFamily(o observed, family discoveryv1.AddressType, existing []*discoveryv1.EndpointSlice, c *changes) {
	groups := map[string]*group{}
	at := func(ports []discoveryv1.EndpointPort) *group {
		k := portsKey(ports)
		if groups[k] == nil {
			groups[k] = &group{ports: ports, desired: map[string]*discoveryv1.Endpoint{}}
		}
		return groups[k]
	}
	for _, s := range existing {
		if !ownedBy(s, o.service) {
			c.remove = append(c.remove, s)
			continue
		}
		g := at(s.Ports)
		g.existing = append(g.existing, s)
	}
	for _, pod := range o.pods {
		if !endpointsliceutil.ShouldPodBeInEndpoints(pod, true) {
			continue
		}
		zone, known := o.zones[pod.Spec.NodeName]
		if !known && !o.service.Spec.PublishNotReadyAddresses {
			c.missingNodes = true
			continue
		}
		if ep := endpoint(o.service, pod, zone, family); len(ep.Addresses) > 0 {
			at(ports(o.service, pod)).desired[key(&ep)] = &ep
		}
	}
	for _, k := range slices.Sorted(maps.Keys(groups)) {
		planGroup(o, family, groups[k], c)
	}
	keepPlaceholder(o, family, c)
	reuse(o, c)
}

// planGroup settles one set of ports: what may stay stays, new endpoints go
// into slices that are written anyway, fullest first, then into the unchanged
// slice they fill best, then into new ones.
func planGroup(o observed, family discoveryv1.AddressType, g *group, c *changes) {
	slices.SortFunc(g.existing, func(a, b *discoveryv1.EndpointSlice) int { return cmp.Compare(a.Name, b.Name) })
	var update, unchanged []*discoveryv1.EndpointSlice
	for _, s := range g.existing {
		kept, changed := keep(s, g.desired)
		switch labels, relabelled := labelsFor(s, o.service); {
		case len(kept) == 0:
			// Emptied, or a placeholder: free to be filled, or removed unless
			// keepPlaceholder wants it.
			c.remove = append(c.remove, s)
		case changed || relabelled:
			own := shallow(s)
			own.Labels, own.Endpoints = labels, kept
			update = append(update, own)
		default:
			unchanged = append(unchanged, s)
		}
	}
	rest := leftover(g.desired)
	slices.SortStableFunc(update, func(a, b *discoveryv1.EndpointSlice) int {
		return cmp.Compare(len(b.Endpoints), len(a.Endpoints))
	})
	for _, s := range update {
		rest = fill(s, rest, o.max)
	}
	if i := bestFit(unchanged, len(rest), o.max); len(rest) > 0 && i >= 0 {
		own := shallow(unchanged[i])
		own.Endpoints = slices.Clone(own.Endpoints)
		rest = fill(own, rest, o.max)
		update = append(update, own)
		unchanged = slices.Delete(unchanged, i, i+1)
	}
	for len(rest) > 0 {
		s := newSlice(o.service, family, g.ports)
		rest = fill(s, rest, o.max)
		c.create = append(c.create, s)
	}
	c.update = append(c.update, update...)
	c.unchanged = append(c.unchanged, unchanged...)
}

// keep returns the endpoints of s that are still wanted, as they are wanted now, and
// takes them out of desired. changed reports whether that differs from what s holds.
func keep(s *discoveryv1.EndpointSlice, desired map[string]*discoveryv1.Endpoint) (kept []discoveryv1.Endpoint, changed bool) {
	kept = make([]discoveryv1.Endpoint, 0, len(s.Endpoints))
	for i := range s.Endpoints {
		k := key(&s.Endpoints[i])
		want, ok := desired[k]
		if !ok {
			changed = true
			continue
		}
		delete(desired, k)
		changed = changed || !same(want, &s.Endpoints[i])
		ep := *want
		ep.Hints = s.Endpoints[i].Hints
		kept = append(kept, ep)
	}
	return kept, changed
}

func leftover(desired map[string]*discoveryv1.Endpoint) []*discoveryv1.Endpoint {
	out := make([]*discoveryv1.Endpoint, 0, len(desired))
	for _, k := range slices.Sorted(maps.Keys(desired)) {
		out = append(out, desired[k])
	}
	return out
}

func fill(s *discoveryv1.EndpointSlice, rest []*discoveryv1.Endpoint, limit int) []*discoveryv1.Endpoint {
	for len(rest) > 0 && len(s.Endpoints) < limit {
		s.Endpoints = append(s.Endpoints, *rest[0])
		rest = rest[1:]
	}
	return rest
}

// bestFit returns the index of the fullest slice with room for n more, or -1.
func bestFit(candidates []*discoveryv1.EndpointSlice, n, limit int) int {
	best := -1
	for i, s := range candidates {
		if len(s.Endpoints)+n > limit {
			continue
		}
		if best < 0 || len(s.Endpoints) > len(candidates[best].Endpoints) {
			best = i
		}
	}
	return best
}

// keepPlaceholder makes sure that a family without endpoints has one empty slice,
// so that its consumers can distinguish "no endpoints" from "not looked at".
func keepPlaceholder(o observed, family discoveryv1.AddressType, c *changes) {
	if len(c.create)+len(c.update)+len(c.unchanged) > 0 {
		return
	}
	for i, s := range c.remove {
		if len(s.Endpoints) == 0 && len(s.Ports) == 0 && ownedBy(s, o.service) {
			if _, relabelled := labelsFor(s, o.service); !relabelled {
				c.unchanged = append(c.unchanged, s)
				c.remove = slices.Delete(slices.Clone(c.remove), i, i+1)
				return
			}
		}
	}
	c.create = append(c.create, newSlice(o.service, family, []discoveryv1.EndpointPort{}))
}

// reuse turns creations into updates of slices that would be removed: one write
// for two, and watchers see no gap.
func reuse(o observed, c *changes) {
	var remove []*discoveryv1.EndpointSlice
	for _, s := range c.remove {
		if len(c.create) == 0 || !ownedBy(s, o.service) {
			remove = append(remove, s)
			continue
		}
		fresh := c.create[len(c.create)-1]
		c.create = c.create[:len(c.create)-1]
		own := shallow(s)
		own.Labels, own.Ports, own.Endpoints = fresh.Labels, fresh.Ports, fresh.Endpoints
		c.update = append(c.update, own)
	}
	c.remove = remove
}

// shallow returns a copy whose metadata maps may be replaced; endpoints and
// ports are shared and must be replaced, not changed.
func shallow(s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	own := *s
	own.Annotations = maps.Clone(s.Annotations)
	return &own
}

func newSlice(svc *corev1.Service, family discoveryv1.AddressType, ports []discoveryv1.EndpointPort) *discoveryv1.EndpointSlice {
	prefix := svc.Name + "-"
	if len(apivalidation.NameIsDNSSubdomain(prefix, true)) != 0 {
		prefix = svc.Name
	}
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:    svc.Namespace,
			GenerateName: prefix,
			OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(svc, schema.GroupVersionKind{Version: "v1", Kind: "Service"}),
			},
		},
		AddressType: family,
		Ports:       ports,
		Endpoints:   []discoveryv1.Endpoint{},
	}
	s.Labels, _ = labelsFor(s, svc)
	return s
}

func ownedBy(s *discoveryv1.EndpointSlice, svc *corev1.Service) bool {
	return slices.ContainsFunc(s.OwnerReferences, func(r metav1.OwnerReference) bool {
		return r.UID == svc.UID && r.Kind == "Service" && r.APIVersion == "v1"
	})
}

// labelsFor returns the labels s has to have: the Service's, and the reserved
// ones. changed reports whether s has others.
func labelsFor(s *discoveryv1.EndpointSlice, svc *corev1.Service) (labels map[string]string, changed bool) {
	labels = make(map[string]string, len(svc.Labels)+3)
	maps.Copy(labels, svc.Labels)
	delete(labels, corev1.IsHeadlessService)
	if svc.Spec.ClusterIP == "" || svc.Spec.ClusterIP == corev1.ClusterIPNone {
		labels[corev1.IsHeadlessService] = ""
	}
	labels[discoveryv1.LabelServiceName] = svc.Name
	labels[discoveryv1.LabelManagedBy] = ManagedBy
	return labels, !maps.Equal(labels, s.Labels)
}
