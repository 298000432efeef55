package nodeports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Range is the range of node ports.
type Range struct {
	// Base is the first port, Size how many there are.
	Base, Size int
}

func (r Range) has(port int32) bool { return int(port) >= r.Base && int(port) < r.Base+r.Size }

// String returns the range as upstream shows it: first and last port.
func (r Range) String() string { return fmt.Sprintf("%d-%d", r.Base, r.Base+r.Size-1) }

// wrong is a port of a Service that the Service should not have.
type wrong struct {
	service types.UID
	port    int32
	kind    string // as the metric has it
}

// finding is a wrong port and its Event.
type finding struct {
	wrong
	of              *corev1.Service
	reason, message string
}

// plan finds the wrong ports of all Services.
func plan(services []corev1.Service, within Range) []finding {
	ordered := make([]*corev1.Service, 0, len(services))
	for i := range services {
		if hasPorts(&services[i]) {
			ordered = append(ordered, &services[i])
		}
	}
	slices.SortFunc(ordered, func(a, b *corev1.Service) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	taken := map[int32]bool{}
	var found []finding
	for _, s := range ordered {
		for _, port := range ports(s) {
			switch {
			case !within.has(port):
				found = append(found, finding{wrong{s.UID, port, "outOfRange"}, s, "PortOutOfRange",
					fmt.Sprintf("Port %d is not within the port range %s; please recreate service", port, within)})
			case taken[port]:
				found = append(found, finding{wrong{s.UID, port, "duplicate"}, s, "PortAlreadyAllocated",
					fmt.Sprintf("Port %d was assigned to multiple services; please recreate service", port)})
			}
			taken[port] = true
		}
	}
	return found
}

func hasPorts(s *corev1.Service) bool { return len(ports(s)) > 0 }

// ports returns the node ports of a Service, each once: it may have one for
// several protocols.
func ports(s *corev1.Service) []int32 {
	var all []int32
	add := func(port int32) {
		if port != 0 && !slices.Contains(all, port) {
			all = append(all, port)
		}
	}
	for i := range s.Spec.Ports {
		add(s.Spec.Ports[i].NodePort)
	}
	add(s.Spec.HealthCheckNodePort)
	return all
}
