package crash

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"
)

// leak is how long the book of addresses may have one too many: a request that
// died between its two writes may have been under way that long.
const leak = 60 * time.Second

// services checks that they have addresses and ports of their own, and the
// endpoints of the pods that are ready.
func (o *oracle) services() {
	want := sets.New("web", "db")
	for _, n := range o.p.Ships {
		want.Insert(fmt.Sprintf("new-%d", n))
	}
	addresses, ports := map[string]string{}, map[int32]string{}
	for i := range o.s.services {
		s := &o.s.services[i]
		name := s.Namespace + "/" + s.Name
		if s.Namespace == "work" && !want.Has(s.Name) {
			o.say("Service %s is there", name)
		}
		want.Delete(s.Name)
		for _, ip := range s.Spec.ClusterIPs {
			if ip != corev1.ClusterIPNone {
				o.address(addresses, ip, name)
			}
		}
		for _, port := range s.Spec.Ports {
			if other := ports[port.NodePort]; other != "" {
				o.say("Services %s and %s have the node port %d", name, other, port.NodePort)
			}
			if port.NodePort != 0 {
				ports[port.NodePort] = name
			}
			same(o, "Service "+name+" has a node port", port.NodePort != 0, s.Spec.Type == corev1.ServiceTypeNodePort)
		}
		if s.Spec.Selector != nil {
			o.endpoints(s)
		}
	}
	if len(want) > 0 {
		o.say("Services are missing: %v", sets.List(want))
	}
	for i := range o.s.addresses {
		a := &o.s.addresses[i]
		if addresses[a.Name] == "" && old(a, leak) {
			o.say("IPAddress %s belongs to no Service, but to %s/%s", a.Name, a.Spec.ParentRef.Namespace, a.Spec.ParentRef.Name)
		}
	}
	for i := range o.s.slices {
		if s := &o.s.slices[i]; s.Namespace != "default" && find(o.s.services, s.Namespace, s.Labels[discoveryv1.LabelServiceName]) == nil {
			o.say("EndpointSlice %s/%s is for a Service that is gone", s.Namespace, s.Name)
		}
	}
	for i := range o.s.endpoints {
		if e := &o.s.endpoints[i]; find(o.s.services, e.Namespace, e.Name) == nil {
			o.say("Endpoints %s/%s are for a Service that is gone", e.Namespace, e.Name)
		}
	}
	o.budget()
}

func (o *oracle) address(seen map[string]string, ip, service string) {
	if other := seen[ip]; other != "" {
		o.say("Services %s and %s have the address %s", service, other, ip)
	}
	seen[ip] = service
	a := find(o.s.addresses, "", ip)
	if a == nil {
		o.say("Service %s has %s, of which there is no IPAddress", service, ip)
		return
	}
	same(o, "parent of IPAddress "+ip, a.Spec.ParentRef.Namespace+"/"+a.Spec.ParentRef.Name, service)
}

// endpoints checks that those of a Service are the addresses of its ready pods,
// in both kinds.
func (o *oracle) endpoints(s *corev1.Service) {
	want, selector := sets.New[string](), labels.SelectorFromSet(s.Spec.Selector)
	for i := range o.s.pods {
		if pod := &o.s.pods[i]; pod.Namespace == s.Namespace && selector.Matches(labels.Set(pod.Labels)) && ready(pod) && !ended(pod) {
			want.Insert(pod.Status.PodIP)
		}
	}
	var got []string
	for i := range o.s.slices {
		slice := &o.s.slices[i]
		if slice.Namespace != s.Namespace || slice.Labels[discoveryv1.LabelServiceName] != s.Name {
			continue
		}
		for _, e := range slice.Endpoints {
			if ptr.Deref(e.Conditions.Ready, true) {
				got = append(got, e.Addresses...)
			} else {
				o.say("EndpointSlice %s has %v, not ready", slice.Name, e.Addresses)
			}
		}
	}
	slices.Sort(got)
	same(o, "addresses in EndpointSlices of "+s.Name, strings.Join(got, " "), strings.Join(sets.List(want), " "))
	e := find(o.s.endpoints, s.Namespace, s.Name)
	if e == nil {
		o.say("Service %s has no Endpoints", s.Name)
		return
	}
	got = nil
	for _, subset := range e.Subsets {
		for _, a := range subset.Addresses {
			got = append(got, a.IP)
		}
	}
	slices.Sort(got)
	same(o, "addresses in Endpoints of "+s.Name, strings.Join(got, " "), strings.Join(sets.List(want), " "))
}

func (o *oracle) budget() {
	b := find(o.s.budgets, "work", "web")
	if b == nil {
		o.say("PodDisruptionBudget web is gone")
		return
	}
	n := int32(o.p.WebLast)
	healthy := (n + 1) / 2
	same(o, "PodDisruptionBudget web, expected current desired allowed",
		fmt.Sprint(b.Status.ExpectedPods, b.Status.CurrentHealthy, b.Status.DesiredHealthy, b.Status.DisruptionsAllowed), fmt.Sprint(n, n, healthy, n-healthy))
}

// claims checks that the claims are those of the existing pods, and of the set
// that keeps them also those of former pods; each has a volume for itself.
func (o *oracle) claims() {
	want := sets.New[string]()
	for i := range o.p.DbEnd {
		want.Insert(fmt.Sprintf("data-db-%d", i))
	}
	// Whether a pod that was only wanted for a while ever came is up to the kills.
	for i := range max(o.p.Keep, o.p.KeepEnd) {
		want.Insert(fmt.Sprintf("data-keep-%d", i))
	}
	bound := map[string]string{}
	for i := range o.s.claims {
		c := &o.s.claims[i]
		if !want.Has(c.Name) && !strings.HasPrefix(c.Name, "data-keep-") {
			o.say("claim %s/%s is there", c.Namespace, c.Name)
		}
		want.Delete(c.Name)
		// A claim whose pod went before it was on a node waits for the next one.
		used := find(o.s.pods, c.Namespace, strings.TrimPrefix(c.Name, "data-")) != nil
		if c.Status.Phase != corev1.ClaimBound && (used || c.Status.Phase != corev1.ClaimPending) {
			o.say("claim %s/%s is %s", c.Namespace, c.Name, c.Status.Phase)
		}
		if c.Spec.VolumeName != "" {
			bound[c.Spec.VolumeName] = c.Namespace + "/" + c.Name
		}
	}
	if len(want) > 0 {
		o.say("claims are missing: %v", sets.List(want))
	}
	for i := range o.s.volumes {
		v := &o.s.volumes[i]
		if bound[v.Name] == "" {
			o.say("volume %s is %s and belongs to no claim", v.Name, v.Status.Phase)
			continue
		}
		same(o, "volume "+v.Name+", phase and claim", fmt.Sprint(v.Status.Phase, " ", v.Spec.ClaimRef.Namespace, "/", v.Spec.ClaimRef.Name), fmt.Sprint(corev1.VolumeBound, " ", bound[v.Name]))
		delete(bound, v.Name)
	}
	if len(bound) > 0 {
		o.say("claims have volumes that are gone: %v", slices.Sorted(maps.Values(bound)))
	}
}

// quotas checks that the status of quotas is that of a recount.
func (o *oracle) quotas() {
	lasting := 0
	used := corev1.ResourceList{}
	add := func(name corev1.ResourceName, n int64, milli bool) {
		q := used[name]
		if milli {
			q.SetMilli(q.MilliValue() + n)
		} else {
			q.Set(q.Value() + n)
		}
		used[name] = q
	}
	all, long := find(o.s.quotas, "work", "all"), find(o.s.quotas, "work", "lasting")
	if all == nil || long == nil {
		o.say("a quota is gone")
		return
	}
	for name := range all.Spec.Hard {
		add(name, 0, false)
	}
	for i := range o.s.pods {
		pod := &o.s.pods[i]
		if pod.Namespace != "work" {
			continue
		}
		add("count/pods", 1, false)
		if !ended(pod) {
			add("pods", 1, false)
			add("requests.cpu", cpu(pod), true)
			lasting++
		}
	}
	for i := range o.s.services {
		if s := &o.s.services[i]; s.Namespace == "work" {
			add("services", 1, false)
			if s.Spec.Type == corev1.ServiceTypeNodePort {
				add("services.nodeports", int64(len(s.Spec.Ports)), false)
			}
		}
	}
	for i := range o.s.claims {
		if c := &o.s.claims[i]; c.Namespace == "work" {
			add("persistentvolumeclaims", 1, false)
			add("requests.storage", c.Spec.Resources.Requests.Storage().Value(), false)
		}
	}
	count := func(name corev1.ResourceName, n int) { add(name, int64(n), false) }
	count("configmaps", in(o.s.maps, "work"))
	count("count/configmaps", in(o.s.maps, "work"))
	count("secrets", in(o.s.secrets, "work"))
	count("count/jobs.batch", in(o.s.jobs, "work"))
	count("count/replicasets.apps", in(o.s.replicaSets, "work"))
	for name, want := range used {
		if got, ok := all.Status.Used[name]; !ok || got.Cmp(want) != 0 {
			o.say("quota all, %s used: %s, not %s", name, got.String(), want.String())
		}
	}
	got := long.Status.Used["pods"]
	same(o, "quota lasting, pods used", got.Value(), int64(lasting))
}
