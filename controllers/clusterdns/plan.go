package clusterdns

import (
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis"
	nodeapi "github.com/coracle-k8s/coracle/apis/core/node"
)

const (
	// ServiceName is the Service's name in kube-system, which tools look for.
	ServiceName = "kube-dns"
	// ManagedBy is the value of the label endpointslice.kubernetes.io/managed-by.
	ManagedBy = "dns-controller.coracle.dev"

	udpPort, tcpPort = "dns", "dns-tcp"
	port             = 53
)

// plan holds the writes to make; nil and empty fields are none.
type plan struct {
	createService  *corev1.Service
	create, update []*discoveryv1.EndpointSlice
	delete         []*discoveryv1.EndpointSlice
}

// planFor compares what is there (service may be nil, slices are those of
// ManagedBy) with the nodes that answer queries.
func planFor(address string, nodes []corev1.Node, service *corev1.Service, have []discoveryv1.EndpointSlice) plan {
	var p plan
	want := map[string]*discoveryv1.EndpointSlice{}
	for i := range nodes {
		if slice := sliceOf(&nodes[i]); slice != nil {
			want[slice.Name] = slice
		}
	}
	switch {
	case service == nil && len(want) > 0:
		p.createService = desiredService(address)
		clear(want) // they follow when the Service is there to own them
	case service == nil || len(service.Spec.Selector) > 0 || service.DeletionTimestamp != nil:
		clear(want)
	}
	for i := range have {
		old := &have[i]
		slice := want[old.Name]
		delete(want, old.Name)
		switch {
		case slice == nil:
			p.delete = append(p.delete, old)
		case !equality.Semantic.DeepEqual(slice.Endpoints, old.Endpoints) || !equality.Semantic.DeepEqual(slice.Ports, old.Ports):
			changed := old.DeepCopy()
			changed.Endpoints, changed.Ports = slice.Endpoints, slice.Ports
			p.update = append(p.update, changed)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		want[name].OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(service, corev1.SchemeGroupVersion.WithKind("Service"))}
		p.create = append(p.create, want[name])
	}
	return p
}

func desiredService(address string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: ServiceName, Labels: map[string]string{
			"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS",
		}},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: address, ClusterIPs: []string{address},
			TrafficDistribution: ptr.To(corev1.ServiceTrafficDistributionPreferSameNode),
			Ports: []corev1.ServicePort{
				{Name: udpPort, Protocol: corev1.ProtocolUDP, Port: port, TargetPort: intstr.FromInt32(port)},
				{Name: tcpPort, Protocol: corev1.ProtocolTCP, Port: port, TargetPort: intstr.FromInt32(port)},
			},
		},
	}
}

// sliceOf returns nil for a node that answers no queries. One that the server has
// lost sight of is not ready.
func sliceOf(node *corev1.Node) *discoveryv1.EndpointSlice {
	at, err := netip.ParseAddrPort(node.Annotations[apis.AnnotationDNS])
	if err != nil || node.DeletionTimestamp != nil {
		return nil
	}
	family := discoveryv1.AddressTypeIPv4
	if at.Addr().Is6() {
		family = discoveryv1.AddressTypeIPv6
	}
	number := ptr.To(int32(at.Port()))
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: ServiceName + "-" + node.Name, Labels: map[string]string{
			discoveryv1.LabelServiceName: ServiceName, discoveryv1.LabelManagedBy: ManagedBy,
		}},
		AddressType: family,
		Endpoints: []discoveryv1.Endpoint{{
			Addresses: []string{at.Addr().String()}, NodeName: ptr.To(node.Name),
			Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(seen(node))},
			Hints:      &discoveryv1.EndpointHints{ForNodes: []discoveryv1.ForNode{{Name: node.Name}}},
		}},
		Ports: []discoveryv1.EndpointPort{
			{Name: ptr.To(udpPort), Protocol: ptr.To(corev1.ProtocolUDP), Port: number},
			{Name: ptr.To(tcpPort), Protocol: ptr.To(corev1.ProtocolTCP), Port: number},
		},
	}
}

// seen reports whether the node was heard of lately.
func seen(node *corev1.Node) bool {
	c := nodeapi.GetCondition(&node.Status, corev1.NodeReady)
	return c == nil || c.Status != corev1.ConditionUnknown
}
