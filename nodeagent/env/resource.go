package env

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Resource returns the value of a resourceFieldRef: the container's request or
// limit in units of the divisor, rounded up. A container without a limit gets
// the node's allocatable amount.
func Resource(pod *corev1.Pod, ref *corev1.ResourceFieldSelector, container string, allocatable corev1.ResourceList) (string, error) {
	if ref.ContainerName != "" {
		container = ref.ContainerName
	}
	c := findContainer(pod, container)
	if c == nil {
		return "", fmt.Errorf("container %s not found", container)
	}
	kind, name, _ := strings.Cut(ref.Resource, ".")
	res := corev1.ResourceName(name)
	known := res == corev1.ResourceCPU || res == corev1.ResourceMemory || res == corev1.ResourceEphemeralStorage ||
		strings.HasPrefix(name, corev1.ResourceHugePagesPrefix)
	if !known || (kind != "limits" && kind != "requests") {
		return "", fmt.Errorf("unsupported container resource : %v", ref.Resource)
	}
	var quantity resource.Quantity
	if kind == "requests" {
		quantity = c.Resources.Requests[res]
	} else {
		var limited bool
		if quantity, limited = c.Resources.Limits[res]; !limited || quantity.IsZero() {
			if !strings.HasPrefix(name, corev1.ResourceHugePagesPrefix) {
				quantity = allocatable[res]
			}
		}
	}
	return inUnits(quantity, ref.Divisor, res == corev1.ResourceCPU), nil
}

// inUnits divides, rounding up; processors count in thousandths.
func inUnits(q, divisor resource.Quantity, milli bool) string {
	amount, unit := q.Value(), divisor.Value()
	if milli {
		amount, unit = q.MilliValue(), divisor.MilliValue()
		if divisor.IsZero() {
			unit = 1000
		}
	}
	if unit <= 0 {
		unit = 1
	}
	n := amount / unit
	if amount%unit > 0 {
		n++
	}
	return strconv.FormatInt(n, 10)
}

func findContainer(pod *corev1.Pod, name string) *corev1.Container {
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		if i := slices.IndexFunc(list, func(c corev1.Container) bool { return c.Name == name }); i >= 0 {
			return &list[i]
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		if pod.Spec.EphemeralContainers[i].Name == name {
			c := corev1.Container(pod.Spec.EphemeralContainers[i].EphemeralContainerCommon)
			return &c
		}
	}
	return nil
}
