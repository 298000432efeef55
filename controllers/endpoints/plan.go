package endpoints

import (
	"maps"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	endpointslicelib "k8s.io/endpointslice"
	endpointsliceutil "k8s.io/endpointslice/util"

	"github.com/coracle-k8s/coracle/controllers/internal/subsets"
)

const (
	// MaxAddresses is how many addresses an Endpoints object may hold.
	// https://kubernetes.io/docs/concepts/services-networking/service/#over-capacity-endpoints
	MaxAddresses = 1000

	labelManagedBy = "endpoints.kubernetes.io/managed-by"
	managedBy      = "endpoint-controller"
	truncated      = "truncated"
)

// plan returns what to write, nil for nothing; create is set if it is new.
// existing is nil when there is none, and is never changed. trigger is when the
// change happened that the write publishes, zero if that is not known.
func plan(svc *corev1.Service, pods []*corev1.Pod, existing *corev1.Endpoints, trigger time.Time) (write *corev1.Endpoints, create bool) {
	all, over := truncate(subsetsOf(svc, pods))
	labels := labelsFor(svc)
	if existing != nil && maps.Equal(existing.Labels, labels) && overCapacity(existing) == over &&
		apiequality.Semantic.DeepEqual(existing.Subsets, all) {
		return nil, false
	}
	if existing == nil {
		create = true
		write = &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: svc.Namespace, Name: svc.Name}}
	} else {
		write = &corev1.Endpoints{ObjectMeta: *existing.ObjectMeta.DeepCopy()}
	}
	write.Subsets, write.Labels = all, labels
	annotate(write, corev1.EndpointsOverCapacity, truncated, over)
	annotate(write, corev1.EndpointsLastChangeTriggerTime, trigger.UTC().Format(time.RFC3339Nano), !trigger.IsZero())
	return write, create
}

func annotate(e *corev1.Endpoints, key, value string, set bool) {
	if !set {
		delete(e.Annotations, key)
		return
	}
	if e.Annotations == nil {
		e.Annotations = map[string]string{}
	}
	e.Annotations[key] = value
}

func overCapacity(e *corev1.Endpoints) bool {
	return e.Annotations[corev1.EndpointsOverCapacity] == truncated
}

func labelsFor(svc *corev1.Service) map[string]string {
	labels := make(map[string]string, len(svc.Labels)+2)
	maps.Copy(labels, svc.Labels)
	delete(labels, corev1.IsHeadlessService)
	if svc.Spec.ClusterIP == "" || svc.Spec.ClusterIP == corev1.ClusterIPNone {
		labels[corev1.IsHeadlessService] = ""
	}
	labels[labelManagedBy] = managedBy
	return labels
}

// subsetsOf returns the pods' endpoints, packed.
func subsetsOf(svc *corev1.Service, pods []*corev1.Pod) []corev1.EndpointSubset {
	var each []corev1.EndpointSubset
	for _, pod := range pods {
		if !endpointsliceutil.ShouldPodBeInEndpoints(pod, svc.Spec.PublishNotReadyAddresses) {
			continue
		}
		addr, ok := address(svc, pod)
		if !ok {
			continue
		}
		ports, any := portsOf(svc, pod)
		if !any {
			continue
		}
		s := corev1.EndpointSubset{Ports: ports}
		if svc.Spec.PublishNotReadyAddresses || endpointsliceutil.IsPodReady(pod) {
			s.Addresses = []corev1.EndpointAddress{addr}
		} else {
			s.NotReadyAddresses = []corev1.EndpointAddress{addr}
		}
		each = append(each, s)
	}
	return subsets.Pack(each)
}

// address returns the pod's address in the Service's first family.
func address(svc *corev1.Service, pod *corev1.Pod) (corev1.EndpointAddress, bool) {
	ip, ok := podIP(pod, wantsIPv6(svc))
	if !ok {
		return corev1.EndpointAddress{}, false
	}
	a := corev1.EndpointAddress{
		IP:        ip,
		NodeName:  &pod.Spec.NodeName,
		TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
	}
	if endpointsliceutil.ShouldSetHostname(pod, svc) {
		a.Hostname = pod.Spec.Hostname
	}
	return a, true
}

func wantsIPv6(svc *corev1.Service) bool {
	if len(svc.Spec.IPFamilies) > 0 {
		return svc.Spec.IPFamilies[0] == corev1.IPv6Protocol
	}
	addr, err := netip.ParseAddr(svc.Spec.ClusterIP)
	return err == nil && addr.Is6()
}

func podIP(pod *corev1.Pod, v6 bool) (string, bool) {
	for i := range pod.Status.PodIPs {
		addr, err := netip.ParseAddr(pod.Status.PodIPs[i].IP)
		if err == nil && addr.Unmap().Is6() == v6 {
			return addr.Unmap().String(), true
		}
	}
	return "", false
}

// portsOf returns the Service's ports as the pod resolves them. any is false if
// the pod has none of them; a headless Service need not have any.
func portsOf(svc *corev1.Service, pod *corev1.Pod) (ports []corev1.EndpointPort, any bool) {
	if len(svc.Spec.Ports) == 0 {
		return nil, svc.Spec.ClusterIP == corev1.ClusterIPNone
	}
	for i := range svc.Spec.Ports {
		sp := &svc.Spec.Ports[i]
		number, err := endpointslicelib.FindPort(pod, sp)
		if err != nil {
			continue
		}
		ports = append(ports, corev1.EndpointPort{
			Name: sp.Name, Port: int32(number), Protocol: sp.Protocol, AppProtocol: sp.AppProtocol,
		})
	}
	return ports, len(ports) > 0
}

// truncate cuts the addresses to MaxAddresses: ready ones are kept first, and
// each subset keeps its share. over reports that some were cut.
func truncate(all []corev1.EndpointSubset) (out []corev1.EndpointSubset, over bool) {
	ready, notReady := 0, 0
	for i := range all {
		ready += len(all[i].Addresses)
		notReady += len(all[i].NotReadyAddresses)
	}
	if ready+notReady <= MaxAddresses {
		return all, false
	}
	readyLeft := min(ready, MaxAddresses)
	notReadyLeft := MaxAddresses - readyLeft
	for i := range all {
		s := all[i]
		s.Addresses = share(s.Addresses, readyLeft, ready)
		s.NotReadyAddresses = share(s.NotReadyAddresses, notReadyLeft, notReady)
		if len(s.Addresses)+len(s.NotReadyAddresses) > 0 {
			out = append(out, s)
		}
	}
	return out, true
}

// share returns the first of a, as many as its part of limit is in total.
func share(a []corev1.EndpointAddress, limit, total int) []corev1.EndpointAddress {
	if total == 0 {
		return a
	}
	n := len(a) * limit / total
	if n == 0 {
		return nil
	}
	return a[:n]
}
