package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
	kubelettypes "k8s.io/kubelet/pkg/types"

	"github.com/coracle-k8s/coracle/nodeagent/runtime"
)

// summary answers /stats/summary with what the runtime measures of pods; the
// node's own numbers are their sums.
func (s *server) summary(w http.ResponseWriter, r *http.Request) {
	pods, err := s.podStats(r.Context())
	if err != nil {
		http.Error(w, runtime.Text(err), http.StatusInternalServerError)
		return
	}
	out := stats.Summary{Node: stats.NodeStats{NodeName: s.config.NodeName}, Pods: pods}
	now := metav1.NewTime(s.config.Clock.Now())
	var cpu, nano, memory uint64
	for _, p := range pods {
		if p.CPU != nil {
			cpu += value(p.CPU.UsageCoreNanoSeconds)
			nano += value(p.CPU.UsageNanoCores)
		}
		if p.Memory != nil {
			memory += value(p.Memory.WorkingSetBytes)
		}
	}
	out.Node.CPU = &stats.CPUStats{Time: now, UsageCoreNanoSeconds: &cpu, UsageNanoCores: &nano}
	out.Node.Memory = &stats.MemoryStats{Time: now, WorkingSetBytes: &memory}
	writeJSON(w, out)
}

func value(n *uint64) uint64 {
	if n == nil {
		return 0
	}
	return *n
}

func (s *server) podStats(ctx context.Context) ([]stats.PodStats, error) {
	list, err := s.config.Runtime.ListPodSandboxStats(ctx, &runtimeapi.ListPodSandboxStatsRequest{})
	if err != nil {
		return nil, fmt.Errorf("reading statistics of pods: %w", err)
	}
	out := []stats.PodStats{}
	for _, p := range list.Stats {
		labels := p.Attributes.GetLabels()
		one := stats.PodStats{
			PodRef: stats.PodReference{
				Name: labels[kubelettypes.KubernetesPodNameLabel], Namespace: labels[kubelettypes.KubernetesPodNamespaceLabel],
				UID: labels[kubelettypes.KubernetesPodUIDLabel],
			},
			CPU: cpuStats(p.Linux.GetCpu()), Memory: memoryStats(p.Linux.GetMemory()),
		}
		for _, c := range p.Linux.GetContainers() {
			container := stats.ContainerStats{
				Name: c.Attributes.GetMetadata().GetName(), CPU: cpuStats(c.Cpu), Memory: memoryStats(c.Memory),
			}
			if layer := c.WritableLayer; layer != nil {
				container.Rootfs = &stats.FsStats{Time: at(layer.Timestamp), UsedBytes: number(layer.UsedBytes), InodesUsed: number(layer.InodesUsed)}
			}
			one.Containers = append(one.Containers, container)
		}
		out = append(out, one)
	}
	return out, nil
}

func at(nanoseconds int64) metav1.Time { return metav1.NewTime(time.Unix(0, nanoseconds)) }

func number(v *runtimeapi.UInt64Value) *uint64 {
	if v == nil {
		return nil
	}
	return &v.Value
}

func cpuStats(c *runtimeapi.CpuUsage) *stats.CPUStats {
	if c == nil {
		return nil
	}
	return &stats.CPUStats{Time: at(c.Timestamp), UsageCoreNanoSeconds: number(c.UsageCoreNanoSeconds), UsageNanoCores: number(c.UsageNanoCores)}
}

func memoryStats(m *runtimeapi.MemoryUsage) *stats.MemoryStats {
	if m == nil {
		return nil
	}
	return &stats.MemoryStats{
		Time: at(m.Timestamp), WorkingSetBytes: number(m.WorkingSetBytes), AvailableBytes: number(m.AvailableBytes),
		UsageBytes: number(m.UsageBytes), RSSBytes: number(m.RssBytes), PageFaults: number(m.PageFaults), MajorPageFaults: number(m.MajorPageFaults),
	}
}

// resourceMetrics answers /metrics/resource, which metrics-server reads.
func (s *server) resourceMetrics(w http.ResponseWriter, r *http.Request) {
	pods, err := s.podStats(r.Context())
	if err != nil {
		http.Error(w, runtime.Text(err), http.StatusInternalServerError)
		return
	}
	var cpu, memory, podCPU, podMemory strings.Builder
	for _, p := range pods {
		pod := fmt.Sprintf("namespace=%q,pod=%q", p.PodRef.Namespace, p.PodRef.Name)
		sample(&podCPU, "pod_cpu_usage_seconds_total", pod, p.CPU)
		sampleMemory(&podMemory, "pod_memory_working_set_bytes", pod, p.Memory)
		for _, c := range p.Containers {
			labels := fmt.Sprintf("container=%q,%s", c.Name, pod)
			sample(&cpu, "container_cpu_usage_seconds_total", labels, c.CPU)
			sampleMemory(&memory, "container_memory_working_set_bytes", labels, c.Memory)
		}
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	for _, f := range []struct{ name, kind, text string }{
		{"container_cpu_usage_seconds_total", "counter", cpu.String()},
		{"container_memory_working_set_bytes", "gauge", memory.String()},
		{"pod_cpu_usage_seconds_total", "counter", podCPU.String()},
		{"pod_memory_working_set_bytes", "gauge", podMemory.String()},
	} {
		fmt.Fprintf(w, "# TYPE %s %s\n%s", f.name, f.kind, f.text)
	}
}

func sample(out *strings.Builder, name, labels string, c *stats.CPUStats) {
	if c != nil && c.UsageCoreNanoSeconds != nil {
		fmt.Fprintf(out, "%s{%s} %g %d\n", name, labels, float64(*c.UsageCoreNanoSeconds)/1e9, c.Time.UnixMilli())
	}
}

func sampleMemory(out *strings.Builder, name, labels string, m *stats.MemoryStats) {
	if m != nil && m.WorkingSetBytes != nil {
		fmt.Fprintf(out, "%s{%s} %d %d\n", name, labels, *m.WorkingSetBytes, m.Time.UnixMilli())
	}
}

// metrics answers /metrics with what the kubelet's users look at first.
func (s *server) metrics(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	running := map[string]int{}
	containers, err := s.config.Runtime.ListContainers(r.Context(), &runtimeapi.ListContainersRequest{})
	if err != nil {
		http.Error(w, runtime.Text(err), http.StatusInternalServerError)
		return
	}
	for _, c := range containers.Containers {
		state := map[runtimeapi.ContainerState]string{
			runtimeapi.ContainerState_CONTAINER_CREATED: "created", runtimeapi.ContainerState_CONTAINER_RUNNING: "running",
			runtimeapi.ContainerState_CONTAINER_EXITED: "exited", runtimeapi.ContainerState_CONTAINER_UNKNOWN: "unknown",
		}[c.State]
		running[state]++
	}
	fmt.Fprintf(w, "# TYPE kubelet_running_pods gauge\nkubelet_running_pods %d\n# TYPE kubelet_running_containers gauge\n", len(s.config.Pods()))
	for _, state := range []string{"created", "exited", "running", "unknown"} {
		if n, ok := running[state]; ok {
			fmt.Fprintf(w, "kubelet_running_containers{container_state=%q} %d\n", state, n)
		}
	}
}
