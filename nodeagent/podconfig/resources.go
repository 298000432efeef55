package podconfig

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// The kernel's CPU accounting: shares per CPU, the scheduling period and the
// smallest quota in microseconds.
const (
	sharesPerCPU = 1024
	minShares    = 2
	maxShares    = 262144
	quotaPeriod  = 100_000
	minQuota     = 1_000
)

// Shares returns the cpu.shares value of a request in thousandths of a CPU.
func Shares(milliCPU int64) int64 {
	return min(max(milliCPU*sharesPerCPU/1000, minShares), maxShares)
}

// Quota returns the CFS quota of a limit in thousandths of a CPU; 0 means none.
func Quota(milliCPU int64) int64 {
	if milliCPU == 0 {
		return 0
	}
	return max(milliCPU*quotaPeriod/1000, minQuota)
}

// Period is the CFS period in microseconds that Quota is for.
const Period = quotaPeriod

// Resources returns a container's cgroup parameters. memory is the node's
// capacity in bytes, which the OOM score of burstable pods relates to.
func Resources(pod *corev1.Pod, r corev1.ResourceRequirements, memory int64, cgroupV2 bool) *runtimeapi.LinuxContainerResources {
	request, set := r.Requests[corev1.ResourceCPU]
	limit := r.Limits[corev1.ResourceCPU]
	if !set {
		request = limit
	}
	memoryLimit := r.Limits[corev1.ResourceMemory]
	out := &runtimeapi.LinuxContainerResources{
		CpuShares:          Shares(request.MilliValue()),
		CpuQuota:           Quota(limit.MilliValue()),
		CpuPeriod:          Period,
		MemoryLimitInBytes: memoryLimit.Value(),
		OomScoreAdj:        OOMScore(pod, r, memory),
	}
	for name, quantity := range r.Limits {
		if size, ok := strings.CutPrefix(string(name), corev1.ResourceHugePagesPrefix); ok {
			if q, err := resource.ParseQuantity(size); err == nil {
				out.HugepageLimits = append(out.HugepageLimits, &runtimeapi.HugepageLimit{
					PageSize: pageSize(q.Value()), Limit: uint64(quantity.Value()),
				})
			}
		}
	}
	if cgroupV2 {
		// A container dies whole when it runs out of memory.
		out.Unified = map[string]string{"memory.oom.group": "1"}
	}
	return out
}

// pageSize returns the kernel's name of a huge page size, such as 2MB.
func pageSize(bytes int64) string {
	units := []string{"B", "KB", "MB", "GB", "TB"}
	i := 0
	for bytes >= 1024 && bytes%1024 == 0 && i < len(units)-1 {
		bytes /= 1024
		i++
	}
	return resource.NewQuantity(bytes, resource.DecimalSI).String() + units[i]
}

// OOMScore returns a container's oom_score_adj, see
// https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#node-out-of-memory-behavior.
func OOMScore(pod *corev1.Pod, r corev1.ResourceRequirements, memory int64) int64 {
	const guaranteed, bestEffort = -997, 1000
	if pod.Spec.Priority != nil && *pod.Spec.Priority >= SystemNodeCritical {
		return guaranteed
	}
	switch podapi.QOSClass(pod) {
	case corev1.PodQOSGuaranteed:
		return guaranteed
	case corev1.PodQOSBestEffort:
		return bestEffort
	}
	if memory <= 0 {
		return bestEffort - 1
	}
	request := r.Requests[corev1.ResourceMemory]
	score := 1000 - 1000*request.Value()/memory
	return min(max(score, 1000+guaranteed), bestEffort-1)
}

// SystemNodeCritical and SystemCritical are the lowest priorities of pods that
// the node, and the cluster, cannot do without.
const (
	SystemNodeCritical = 2_000_001_000
	SystemCritical     = 2_000_000_000
)
