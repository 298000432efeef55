package horizontalpodautoscaler

import (
	"errors"
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// proposal is the number of replicas that one metric asks for.
type proposal struct {
	replicas int32
	name     string
	status   autoscalingv2.MetricStatus
}

// ask returns the most that a metric asks for, and which one. With an error it
// may still be more than there are now; if it is not, it is -1.
func (p *planner) ask() (replicas int32, metric string, err error) {
	if err := p.checkSelector(); err != nil {
		return -1, "", err
	}
	specs := p.Autoscaler.Spec.Metrics
	statuses := make([]autoscalingv2.MetricStatus, len(specs))
	invalid, reason := 0, ""
	var first, cause error
	for i := range specs {
		got, failure, err := p.askOne(&specs[i], p.Readings[i])
		c := Computation{Type: specs[i].Type, Action: "none", Error: kindOf(err)}
		if err == nil {
			c.Action = direction(p.Scale.Replicas, got.replicas)
		}
		p.plan.Computed = append(p.plan.Computed, c)
		if err != nil {
			p.say(corev1.EventTypeWarning, failure, err.Error())
			if invalid == 0 {
				reason, cause, first = failure, err, wrap(&specs[i], err)
			}
			invalid++
			continue
		}
		statuses[i] = got.status
		if replicas == 0 || got.replicas > replicas {
			replicas, metric = got.replicas, got.name
		}
	}
	p.plan.Status.CurrentMetrics = statuses
	if first != nil {
		first = fmt.Errorf("invalid metrics (%d invalid out of %d), first error is: %w", invalid, len(specs), first)
	}
	if invalid >= len(specs) || invalid > 0 && replicas < p.Scale.Replicas {
		p.set(autoscalingv2.ScalingActive, corev1.ConditionFalse, reason, fmt.Sprintf("the HPA was unable to compute the replica count: %v", cause))
		return -1, "", first
	}
	p.set(autoscalingv2.ScalingActive, corev1.ConditionTrue, "ValidMetricFound", "the HPA was able to successfully calculate a replica count from "+metric)
	return replicas, metric, first
}

func (p *planner) checkSelector() error {
	fail := func(event, reason, message, condition string) error {
		p.say(corev1.EventTypeWarning, event, message)
		p.set(autoscalingv2.ScalingActive, corev1.ConditionFalse, reason, condition)
		return errors.New(message)
	}
	switch {
	case p.Scale.Selector == "":
		return fail("SelectorRequired", "InvalidSelector", "selector is required", "the HPA target's scale is missing a selector")
	case p.Scale.SelectorError != nil:
		message := fmt.Sprintf("couldn't convert selector into a corresponding internal selector object: %v", p.Scale.SelectorError)
		return fail("InvalidSelector", "InvalidSelector", message, message)
	case len(p.Rivals) > 0:
		message := fmt.Sprintf("pods by selector %v are controlled by more than one HPA (e.g. %v)", p.Scale.Selector, p.Rivals)
		return fail("AmbiguousSelector", "AmbiguousSelector", message, message)
	}
	return nil
}

// wrap adds to an error which metric it is of, in upstream's words, some twice.
func wrap(spec *autoscalingv2.MetricSpec, err error) error {
	switch spec.Type {
	case autoscalingv2.ObjectMetricSourceType:
		if spec.Object.Target.AverageValue != nil {
			err = fmt.Errorf("failed to get %s object metric: %w", spec.Object.Metric.Name, err)
		}
		return fmt.Errorf("failed to get object metric value: %w", err)
	case autoscalingv2.PodsMetricSourceType:
		return fmt.Errorf("failed to get pods metric value: %w", err)
	case autoscalingv2.ResourceMetricSourceType:
		return fmt.Errorf("failed to get %s resource metric value: %w", spec.Resource.Name, err)
	case autoscalingv2.ContainerResourceMetricSourceType:
		return fmt.Errorf("failed to get %s container metric value: %w", spec.ContainerResource.Container, err)
	case autoscalingv2.ExternalMetricSourceType:
		switch {
		case spec.External.Target.AverageValue != nil:
			err = fmt.Errorf("failed to get %s external metric: %w", spec.External.Metric.Name, err)
		case spec.External.Target.Value != nil:
			err = fmt.Errorf("failed to get external metric %s: %w", spec.External.Metric.Name, err)
		}
		return fmt.Errorf("failed to get %s external metric value: %w", spec.External.Metric.Name, err)
	}
	return err
}

func (p *planner) askOne(spec *autoscalingv2.MetricSpec, r Reading) (out proposal, failure string, err error) {
	out.status.Type = spec.Type
	switch spec.Type {
	case autoscalingv2.ResourceMetricSourceType:
		s := spec.Resource
		out.status.Resource = &autoscalingv2.ResourceMetricStatus{Name: s.Name}
		out.name, err = p.resource(&out, s.Name, "", s.Target, r, &out.status.Resource.Current, "resource")
		return out, "FailedGetResourceMetric", err
	case autoscalingv2.ContainerResourceMetricSourceType:
		s := spec.ContainerResource
		out.status.ContainerResource = &autoscalingv2.ContainerResourceMetricStatus{Name: s.Name, Container: s.Container}
		out.name, err = p.resource(&out, s.Name, s.Container, s.Target, r, &out.status.ContainerResource.Current, "container resource")
		return out, "FailedGetContainerResourceMetric", err
	case autoscalingv2.PodsMetricSourceType:
		s := spec.Pods
		out.name = "pods metric " + s.Metric.Name
		out.status.Pods = &autoscalingv2.PodsMetricStatus{Metric: s.Metric}
		return out, "FailedGetPodsMetric", p.pods(&out, s, r)
	case autoscalingv2.ObjectMetricSourceType:
		s := spec.Object
		out.name = fmt.Sprintf("%s metric %s", s.DescribedObject.Kind, s.Metric.Name)
		if s.Target.AverageValue != nil { // upstream's words
			out.name = fmt.Sprintf("external metric %s(%+v)", s.Metric.Name, s.Metric.Selector)
		}
		out.status.Object = &autoscalingv2.ObjectMetricStatus{Metric: s.Metric, DescribedObject: s.DescribedObject}
		if r.Err != nil {
			r.Err = fmt.Errorf("unable to get metric %s on %s %s/%s: %w", s.Metric.Name, s.DescribedObject.Kind, p.Autoscaler.Namespace, s.DescribedObject.Name, r.Err)
		}
		return out, "FailedGetObjectMetric", p.other(&out, s.Target, r, &out.status.Object.Current, "object")
	case autoscalingv2.ExternalMetricSourceType:
		s := spec.External
		out.name = fmt.Sprintf("external metric %s(%+v)", s.Metric.Name, s.Metric.Selector)
		out.status.External = &autoscalingv2.ExternalMetricStatus{Metric: s.Metric}
		if r.Err != nil {
			r.Err = fmt.Errorf("unable to get external metric %s/%s/%+v: %w", p.Autoscaler.Namespace, s.Metric.Name, s.Metric.Selector, r.Err)
		}
		return out, "FailedGetExternalMetric", p.other(&out, s.Target, r, &out.status.External.Current, "external")
	}
	return out, "InvalidMetricSourceType", specError{fmt.Errorf("unknown metric source type %q", string(spec.Type))}
}

func (p *planner) resource(out *proposal, name corev1.ResourceName, container string, target autoscalingv2.MetricTarget, r Reading, status *autoscalingv2.MetricValueStatus, what string) (string, error) {
	kind := "utilization"
	if target.AverageValue != nil {
		kind = "usage"
	} else if target.AverageUtilization == nil {
		return "", errors.New("invalid resource metric source: neither an average utilization target nor an average value (usage) target was set")
	}
	read, err := p.usage(out, name, container, target, r)
	if err != nil {
		return "", fmt.Errorf("failed to get %s %s: %w", name, kind, err)
	}
	format := resource.DecimalSI
	if name == corev1.ResourceMemory {
		format = resource.BinarySI
	}
	status.AverageValue = resource.NewMilliQuantity(read.value, format)
	status.AverageUtilization = read.utilization
	if kind == "usage" {
		return fmt.Sprintf("%s resource", name), nil
	}
	return fmt.Sprintf("%s %s utilization (percentage of request)", name, what), nil
}

func (p *planner) usage(out *proposal, name corev1.ResourceName, container string, target autoscalingv2.MetricTarget, r Reading) (read reading, err error) {
	if r.Err != nil {
		return read, fmt.Errorf("unable to get metrics for resource %s: %w", name, r.Err)
	}
	g := groupPods(p.Pods, r.Pods, name, p.now)
	t := toleranceOf(p.Autoscaler.Spec.Behavior)
	if target.AverageValue != nil {
		n := target.AverageValue.MilliValue()
		out.replicas, read, err = calculate(p.Scale.Replicas, p.Pods, g, average(n), func(string) int64 { return n }, t)
		return read, err
	}
	if err := g.check(p.Pods); err != nil {
		return read, err
	}
	requests, err := requestsOf(p.Pods, name, container)
	if err != nil {
		return read, err
	}
	percent := *target.AverageUtilization
	assume := func(pod string) int64 { return requests[pod] * int64(max(100, percent)) / 100 }
	out.replicas, read, err = calculate(p.Scale.Replicas, p.Pods, g, utilization(percent, requests), assume, t)
	return read, err
}

func (p *planner) pods(out *proposal, s *autoscalingv2.PodsMetricSource, r Reading) error {
	if r.Err != nil {
		return fmt.Errorf("unable to get metric %s: %w", s.Metric.Name, r.Err)
	}
	if s.Target.AverageValue == nil {
		return errors.New("invalid pods metric source: no average value target was set")
	}
	n := s.Target.AverageValue.MilliValue()
	replicas, read, err := calculate(p.Scale.Replicas, p.Pods, groupPods(p.Pods, r.Pods, "", p.now), average(n), func(string) int64 { return n }, toleranceOf(p.Autoscaler.Spec.Behavior))
	if err != nil {
		return err
	}
	out.replicas = replicas
	out.status.Pods.Current.AverageValue = resource.NewMilliQuantity(read.value, resource.DecimalSI)
	return nil
}

// other computes the proposal of a metric that is not of pods.
func (p *planner) other(out *proposal, target autoscalingv2.MetricTarget, r Reading, status *autoscalingv2.MetricValueStatus, what string) (err error) {
	if r.Err != nil {
		return r.Err
	}
	t, value := toleranceOf(p.Autoscaler.Spec.Behavior), sumOf(r.Values)
	switch {
	case target.AverageValue != nil:
		var each int64
		out.replicas, each = perPod(p.Scale.StatusReplicas, value, target.AverageValue.MilliValue(), t)
		status.AverageValue = resource.NewMilliQuantity(each, resource.DecimalSI)
	case target.Value != nil:
		out.replicas, err = byRatio(p.Scale.Replicas, float64(value)/float64(target.Value.MilliValue()), p.Pods, t)
		status.Value = resource.NewMilliQuantity(value, resource.DecimalSI)
	default:
		err = fmt.Errorf("invalid %s metric source: neither a value target nor an average value target was set", what)
	}
	return err
}
