package nodestatus

import (
	"cmp"
	"maps"
	goruntime "runtime"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/apis/extendedresource"
)

// Machine holds the properties of the machine that do not depend on configuration.
type Machine struct {
	Capacity corev1.ResourceList
	Info     corev1.NodeSystemInfo
}

// Health is the node's readiness and pressures.
type Health struct {
	// Problem is why the node is not ready; empty if it is.
	Problem string
	// MemoryPressure, DiskPressure and PIDPressure ask that no more pods come.
	MemoryPressure, DiskPressure, PIDPressure bool
}

// Desired is all that the node's status shows beside its history.
type Desired struct {
	Addresses   []corev1.NodeAddress
	Capacity    corev1.ResourceList
	Allocatable corev1.ResourceList
	Info        corev1.NodeSystemInfo
	Images      []corev1.ContainerImage
	Handlers    []corev1.NodeRuntimeHandler
	Port        int32
	Health      Health
	// Unsure is set while the runtime does not answer and the rest is its latest answer.
	Unsure bool
}

// maxImages is how many images a status lists, the largest first.
const maxImages = 50

// Allocatable returns capacity less what is reserved for the system.
func Allocatable(capacity, reserved corev1.ResourceList) corev1.ResourceList {
	out := capacity.DeepCopy()
	for name, q := range reserved {
		left, ok := out[name]
		if !ok {
			continue
		}
		left.Sub(q)
		if left.Sign() < 0 {
			left = *resource.NewQuantity(0, left.Format)
		}
		out[name] = left
	}
	return out
}

// Status returns what a status becomes, and whether anything but heartbeat times
// differs from before.
func Status(before corev1.NodeStatus, d Desired, now time.Time) (corev1.NodeStatus, bool) {
	after := *before.DeepCopy()
	after.Addresses = d.Addresses
	after.Capacity, after.Allocatable = resources(before, d)
	after.NodeInfo = d.Info
	after.RuntimeHandlers = d.Handlers
	policy := true
	after.Features = &corev1.NodeFeatures{SupplementalGroupsPolicy: &policy}
	after.DaemonEndpoints.KubeletEndpoint.Port = d.Port
	after.Images = slices.Clone(d.Images)
	slices.SortStableFunc(after.Images, func(a, b corev1.ContainerImage) int { return cmp.Compare(b.SizeBytes, a.SizeBytes) })
	after.Images = after.Images[:min(len(after.Images), maxImages)]
	changed := !apiequality.Semantic.DeepEqual(before, after)
	for _, c := range conditions(d.Health) {
		changed = setCondition(&after.Conditions, c, metav1.NewTime(now.Truncate(time.Second))) || changed
	}
	return after, changed
}

// resources returns the node's own and the extended ones that other clients advertise on it, see
// https://kubernetes.io/docs/tasks/administer-cluster/extended-resource-node/.
// An extended resource goes when its capacity does.
func resources(before corev1.NodeStatus, d Desired) (capacity, allocatable corev1.ResourceList) {
	capacity, allocatable = corev1.ResourceList{}, corev1.ResourceList{}
	for name, q := range before.Capacity {
		if extendedresource.Is(name) {
			capacity[name], allocatable[name] = q, q
		}
	}
	maps.Copy(capacity, d.Capacity)
	maps.Copy(allocatable, d.Allocatable)
	return capacity, allocatable
}

func conditions(h Health) []corev1.NodeCondition {
	pressure := func(t corev1.NodeConditionType, on bool, bad, badText, good, goodText string) corev1.NodeCondition {
		if on {
			return corev1.NodeCondition{Type: t, Status: corev1.ConditionTrue, Reason: bad, Message: badText}
		}
		return corev1.NodeCondition{Type: t, Status: corev1.ConditionFalse, Reason: good, Message: goodText}
	}
	ready := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "kubelet is posting ready status"}
	if h.Problem != "" {
		ready.Status, ready.Reason, ready.Message = corev1.ConditionFalse, "KubeletNotReady", h.Problem
	}
	return []corev1.NodeCondition{
		pressure(corev1.NodeMemoryPressure, h.MemoryPressure, "KubeletHasInsufficientMemory", "kubelet has insufficient memory available",
			"KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
		pressure(corev1.NodeDiskPressure, h.DiskPressure, "KubeletHasDiskPressure", "kubelet has disk pressure",
			"KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
		pressure(corev1.NodePIDPressure, h.PIDPressure, "KubeletHasInsufficientPID", "kubelet has insufficient PID available",
			"KubeletHasSufficientPID", "kubelet has sufficient PID available"),
		ready,
	}
}

// setCondition sets a condition and reports whether more than its heartbeat changed.
func setCondition(list *[]corev1.NodeCondition, c corev1.NodeCondition, now metav1.Time) bool {
	c.LastHeartbeatTime, c.LastTransitionTime = now, now
	for i := range *list {
		old := &(*list)[i]
		if old.Type != c.Type {
			continue
		}
		if old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
		changed := old.Status != c.Status || old.Reason != c.Reason || old.Message != c.Message
		*old = c
		return changed
	}
	*list = append(*list, c)
	return true
}

// labels returns the labels that every node has, and the configured ones.
func labels(hostname string, configured map[string]string) map[string]string {
	out := map[string]string{
		corev1.LabelHostname: hostname, corev1.LabelOSStable: goruntime.GOOS, corev1.LabelArchStable: goruntime.GOARCH,
		"beta.kubernetes.io/os": goruntime.GOOS, "beta.kubernetes.io/arch": goruntime.GOARCH,
	}
	maps.Copy(out, configured)
	return out
}
