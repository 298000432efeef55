package horizontalpodautoscaler

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

const (
	// cpuInitialization is how long after its start a pod's CPU usage counts only
	// while it is ready.
	cpuInitialization = 5 * time.Minute
	// initialReadiness is within what time of its start a pod that becomes unready
	// is taken never to have been ready.
	initialReadiness = 30 * time.Second
	// defaultTolerance is by how much usage may differ from the target.
	defaultTolerance = 0.1
)

// tolerance is a range of ratios of usage to target that are near enough.
type tolerance struct{ down, up float64 }

func toleranceOf(b *autoscalingv2.HorizontalPodAutoscalerBehavior) tolerance {
	t := tolerance{defaultTolerance, defaultTolerance}
	if b != nil && b.ScaleDown != nil && b.ScaleDown.Tolerance != nil {
		t.down = b.ScaleDown.Tolerance.AsApproximateFloat64()
	}
	if b != nil && b.ScaleUp != nil && b.ScaleUp.Tolerance != nil {
		t.up = b.ScaleUp.Tolerance.AsApproximateFloat64()
	}
	return t
}

func (t tolerance) within(ratio float64) bool { return 1-t.down <= ratio && ratio <= 1+t.up }

// group is a metric's pods by what they count for.
type group struct {
	// ready is the number of pods that count; metrics are theirs, by name.
	ready   int
	metrics map[string]Sample
	// unready are pods whose metrics do not count, missing those that have none.
	unready, missing []string
}

// groupPods leaves out pods that are going. resource is empty for other metrics
// than a resource's.
func groupPods(pods []*corev1.Pod, metrics map[string]Sample, resource corev1.ResourceName, now time.Time) group {
	g := group{metrics: maps.Clone(metrics)}
	for _, p := range pods {
		sample, found := metrics[p.Name]
		switch {
		case p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodFailed:
			delete(g.metrics, p.Name)
		case p.Status.Phase == corev1.PodPending, found && resource == corev1.ResourceCPU && unready(p, sample, now):
			g.unready = append(g.unready, p.Name)
			delete(g.metrics, p.Name)
		case !found:
			g.missing = append(g.missing, p.Name)
		default:
			g.ready++
		}
	}
	return g
}

// unready reports whether a pod's CPU usage is that of its start.
func unready(p *corev1.Pod, sample Sample, now time.Time) bool {
	c := podapi.GetCondition(&p.Status, corev1.PodReady)
	if c == nil || p.Status.StartTime == nil {
		return true
	}
	started := p.Status.StartTime.Time
	if started.Add(cpuInitialization).After(now) {
		return c.Status == corev1.ConditionFalse || sample.At.Before(c.LastTransitionTime.Add(sample.Window))
	}
	return c.Status == corev1.ConditionFalse && started.Add(initialReadiness).After(c.LastTransitionTime.Time)
}

// measure returns the ratio of the metrics to the target, and the value to report of them.
type measure func(metrics map[string]Sample) (ratio float64, reading reading, err error)

// reading is the value in a metric's status, in thousandths; of pods' usage it
// is the average.
type reading struct {
	value       int64
	utilization *int32
}

var errNoPods = errors.New("no pods returned by selector while calculating replica count")

// check returns an error if there are no pods or no metrics.
func (g group) check(pods []*corev1.Pod) error {
	switch {
	case len(pods) == 0:
		return errNoPods
	case len(g.metrics) == 0:
		return errors.New("did not receive metrics for targeted pods (pods might be unready)")
	}
	return nil
}

// calculate returns how many replicas a metric of pods asks for. assume is what
// a pod without metrics is taken to use when the ratio is low.
func calculate(current int32, pods []*corev1.Pod, g group, m measure, assume func(pod string) int64, t tolerance) (int32, reading, error) {
	if err := g.check(pods); err != nil {
		return 0, reading{}, err
	}
	ratio, read, err := m(g.metrics)
	if err != nil {
		return 0, read, err
	}
	up := len(g.unready) > 0 && ratio > 1
	if !up && len(g.missing) == 0 {
		if t.within(ratio) {
			return current, read, nil
		}
		return ceil(ratio * float64(g.ready)), read, nil
	}
	assumed := maps.Clone(g.metrics)
	for _, p := range g.missing {
		if ratio < 1 {
			assumed[p] = Sample{Value: assume(p)}
		} else if ratio > 1 {
			assumed[p] = Sample{}
		}
	}
	if up {
		for _, p := range g.unready {
			assumed[p] = Sample{}
		}
	}
	again, _, err := m(assumed)
	if err != nil {
		return 0, read, err
	}
	n := ceil(again * float64(len(assumed)))
	if t.within(again) || ratio < 1 && again > 1 || ratio > 1 && again < 1 || again < 1 && n > current || again > 1 && n < current {
		return current, read, nil
	}
	return n, read, nil
}

// ceil does not exceed what a scale can hold.
func ceil(f float64) int32 { return int32(min(math.Ceil(f), math.MaxInt32)) }

// average measures against a target per pod, in thousandths.
func average(target int64) measure {
	return func(metrics map[string]Sample) (float64, reading, error) {
		sum := int64(0)
		for _, s := range metrics {
			sum += s.Value
		}
		usage := sum / int64(len(metrics))
		return float64(usage) / float64(target), reading{value: usage}, nil
	}
}

// utilization measures against a percentage of what pods request.
func utilization(target int32, requests map[string]int64) measure {
	return func(metrics map[string]Sample) (float64, reading, error) {
		sum, requested, n := int64(0), int64(0), int64(0)
		for pod, s := range metrics {
			if r, ok := requests[pod]; ok {
				sum, requested, n = sum+s.Value, requested+r, n+1
			}
		}
		if requested == 0 {
			return 0, reading{}, errors.New("no metrics returned matched known pods")
		}
		percent := int32(sum * 100 / requested)
		return float64(percent) / float64(target), reading{value: sum / n, utilization: &percent}, nil
	}
}

// requestsOf returns what each pod requests, in thousandths: one container if one is
// named, else the pod as a whole if it has requests, else all its containers that stay.
func requestsOf(pods []*corev1.Pod, name corev1.ResourceName, container string) (map[string]int64, error) {
	out := make(map[string]int64, len(pods))
	for _, p := range pods {
		if container == "" && resource.IsPodLevelRequestsSet(p) {
			q, ok := resource.PodRequests(p, resource.PodResourcesOptions{})[name]
			if !ok {
				return nil, fmt.Errorf("missing pod-level request for %s in Pod %s", name, p.Name)
			}
			out[p.Name] = q.MilliValue()
			continue
		}
		sum, err := containersRequest(p, name, container)
		if err != nil {
			return nil, err
		}
		out[p.Name] = sum
	}
	return out, nil
}

func containersRequest(p *corev1.Pod, name corev1.ResourceName, container string) (sum int64, err error) {
	containers := append([]corev1.Container(nil), p.Spec.Containers...)
	for _, c := range p.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			containers = append(containers, c)
		}
	}
	found := container == ""
	for _, c := range containers {
		if container != "" && c.Name != container {
			continue
		}
		q, ok := c.Resources.Requests[name]
		if !ok {
			return 0, fmt.Errorf("missing request for %s in container %s of Pod %s", name, c.Name, p.Name)
		}
		sum, found = sum+q.MilliValue(), true
	}
	if !found {
		return 0, fmt.Errorf("container %s not found in Pod %s", container, p.Name)
	}
	return sum, nil
}

// byRatio returns the replicas for a metric that is not of pods, with a target
// for the whole. From zero, the ratio itself is the number.
func byRatio(current int32, ratio float64, pods []*corev1.Pod, t tolerance) (int32, error) {
	if current == 0 {
		return ceil(ratio), nil
	}
	if t.within(ratio) {
		return current, nil
	}
	if len(pods) == 0 {
		return 0, fmt.Errorf("unable to calculate ready pods: %w", errNoPods)
	}
	ready := 0
	for _, p := range pods {
		if p.Status.Phase == corev1.PodRunning && podapi.IsReady(p) {
			ready++
		}
	}
	return ceil(ratio * float64(ready)), nil
}

// perPod returns the replicas for such a metric with a target per pod, and the
// present average.
func perPod(current int32, value, target int64, t tolerance) (replicas int32, average int64) {
	ratio := float64(value) / (float64(target) * float64(current))
	replicas = current
	if !t.within(ratio) {
		replicas = ceil(float64(value) / float64(target))
	}
	if current == 0 {
		return replicas, value
	}
	return replicas, int64(math.Ceil(float64(value) / float64(current)))
}
