package endpointslicemirroring

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	endpointsliceutil "k8s.io/endpointslice/util"
	utilnet "k8s.io/utils/net"

	"github.com/coracle-k8s/coracle/controllers/internal/subsets"
)

const (
	// ManagedBy is the label value of the slices.
	ManagedBy = "endpointslicemirroring-controller.k8s.io"
	// MaxPerSubset is how many addresses of one subset are mirrored.
	MaxPerSubset = 1000

	longestPrefix = 253
)

// Mirrored reports whether the Endpoints are to be mirrored, if their Service,
// nil when there is none, has no selector.
func Mirrored(e *corev1.Endpoints, svc *corev1.Service) bool {
	_, leads := e.Annotations[resourcelock.LeaderElectionRecordAnnotationKey]
	return svc != nil && svc.Spec.Selector == nil && e.Labels[discoveryv1.LabelSkipMirror] != "true" && !leads
}

// Plan holds what is to be done.
type Plan struct {
	Create, Update, Delete []*discoveryv1.EndpointSlice
	// Invalid counts the strings that are no addresses, Skipped the addresses
	// that were too many.
	Invalid, Skipped int
}

// key distinguishes slices.
type key struct {
	family discoveryv1.AddressType
	ports  endpointsliceutil.PortMapKey
}

type wanted struct {
	ports     []discoveryv1.EndpointPort
	endpoints []discoveryv1.Endpoint
	seen      map[string]bool
}

// plan compares the slices that there are with those that there should be.
func plan(e *corev1.Endpoints, have []*discoveryv1.EndpointSlice) Plan {
	p := Plan{}
	want := p.want(e)
	byKey := map[key][]*discoveryv1.EndpointSlice{}
	for _, s := range slices.SortedFunc(slices.Values(have), func(a, b *discoveryv1.EndpointSlice) int { return cmp.Compare(a.Name, b.Name) }) {
		k := key{s.AddressType, endpointsliceutil.NewPortMapKey(s.Ports)}
		byKey[k] = append(byKey[k], s)
	}
	for k, w := range want {
		existing := byKey[k]
		delete(byKey, k)
		s := newSlice(e, k.family, w)
		switch {
		case len(existing) == 0:
			p.Create = append(p.Create, s)
			continue
		case !same(existing[0], s):
			s.Name, s.GenerateName, s.ResourceVersion = existing[0].Name, "", existing[0].ResourceVersion
			p.Update = append(p.Update, s)
		}
		p.Delete = append(p.Delete, existing[1:]...)
	}
	for _, rest := range byKey {
		p.Delete = append(p.Delete, rest...)
	}
	p.recycle()
	return p
}

// want groups the valid addresses by ports and family.
func (p *Plan) want(e *corev1.Endpoints) map[key]*wanted {
	want := map[key]*wanted{}
	for _, subset := range subsets.Pack(e.Subsets) {
		ports := portsOf(subset.Ports)
		hash := endpointsliceutil.NewPortMapKey(ports)
		added := 0
		add := func(addresses []corev1.EndpointAddress, ready bool) {
			for j := range addresses {
				ip := utilnet.ParseIPSloppy(addresses[j].IP)
				switch {
				case added >= MaxPerSubset:
					p.Skipped++
					continue
				case ip == nil:
					p.Invalid++
					continue
				}
				added++
				k := key{discoveryv1.AddressTypeIPv4, hash}
				if ip.To4() == nil {
					k.family = discoveryv1.AddressTypeIPv6
				}
				if want[k] == nil {
					want[k] = &wanted{ports: ports, seen: map[string]bool{}}
				}
				want[k].add(endpointOf(&addresses[j], ip, ready))
			}
		}
		add(subset.Addresses, true)
		add(subset.NotReadyAddresses, false)
	}
	return want
}

// add passes over an address that is there already in another spelling.
func (w *wanted) add(e discoveryv1.Endpoint) {
	if id := e.Addresses[0] + "/" + targetOf(&e); !w.seen[id] {
		w.seen[id] = true
		w.endpoints = append(w.endpoints, e)
	}
}

func targetOf(e *discoveryv1.Endpoint) string {
	if e.TargetRef == nil {
		return ""
	}
	return string(e.TargetRef.UID)
}

func portsOf(ports []corev1.EndpointPort) []discoveryv1.EndpointPort {
	out := []discoveryv1.EndpointPort{}
	for i := range ports {
		p := ports[i].DeepCopy()
		out = append(out, discoveryv1.EndpointPort{Name: &p.Name, Port: &p.Port, Protocol: &p.Protocol, AppProtocol: p.AppProtocol})
	}
	return out
}

func endpointOf(a *corev1.EndpointAddress, ip net.IP, ready bool) discoveryv1.Endpoint {
	e := discoveryv1.Endpoint{
		Addresses:  []string{ip.String()},
		Conditions: discoveryv1.EndpointConditions{Ready: &ready},
		TargetRef:  a.TargetRef.DeepCopy(),
	}
	if a.NodeName != nil {
		name := *a.NodeName
		e.NodeName = &name
	}
	if a.Hostname != "" {
		name := a.Hostname
		e.Hostname = &name
	}
	return e
}

func newSlice(e *corev1.Endpoints, family discoveryv1.AddressType, w *wanted) *discoveryv1.EndpointSlice {
	labels := map[string]string{}
	maps.Copy(labels, e.Labels)
	labels[discoveryv1.LabelServiceName], labels[discoveryv1.LabelManagedBy] = e.Name, ManagedBy
	annotations := map[string]string{}
	maps.Copy(annotations, e.Annotations)
	delete(annotations, corev1.EndpointsLastChangeTriggerTime)
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: e.Namespace, GenerateName: prefix(e.Name), Labels: labels, Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(e, corev1.SchemeGroupVersion.WithKind("Endpoints"))},
		},
		AddressType: family, Ports: w.ports, Endpoints: w.endpoints,
	}
}

func prefix(name string) string {
	if len(name) < longestPrefix {
		return name + "-"
	}
	return name
}

// same compares slices whatever the order of their endpoints.
func same(a, b *discoveryv1.EndpointSlice) bool {
	return apiequality.Semantic.DeepEqual(a.Labels, b.Labels) && apiequality.Semantic.DeepEqual(a.Annotations, b.Annotations) &&
		apiequality.Semantic.DeepEqual(a.Ports, b.Ports) && apiequality.Semantic.DeepEqual(a.OwnerReferences, b.OwnerReferences) &&
		apiequality.Semantic.DeepEqual(sorted(a.Endpoints), sorted(b.Endpoints))
}

func sorted(all []discoveryv1.Endpoint) []discoveryv1.Endpoint {
	return slices.SortedFunc(slices.Values(all), func(a, b discoveryv1.Endpoint) int {
		return cmp.Or(strings.Compare(fmt.Sprint(a.Addresses), fmt.Sprint(b.Addresses)), strings.Compare(targetOf(&a), targetOf(&b)))
	})
}

// recycle gives new slices the names of old ones of their family, which saves
// proxies a moment without either.
func (p *Plan) recycle() {
	var create []*discoveryv1.EndpointSlice
	for _, s := range p.Create {
		i := slices.IndexFunc(p.Delete, func(old *discoveryv1.EndpointSlice) bool { return old.AddressType == s.AddressType })
		if i < 0 {
			create = append(create, s)
			continue
		}
		s.Name, s.GenerateName, s.ResourceVersion = p.Delete[i].Name, "", p.Delete[i].ResourceVersion
		p.Update = append(p.Update, s)
		p.Delete = slices.Delete(p.Delete, i, i+1)
	}
	p.Create = create
}
