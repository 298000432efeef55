package horizontalpodautoscaler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	custom "k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	external "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"
	resources "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// defaultWindow is the time that a custom metric without a window was measured in.
const defaultWindow = time.Minute

// Sample is a metric of one pod.
type Sample struct {
	At     time.Time
	Window time.Duration
	// Value is in thousandths.
	Value int64
}

// Metrics reads metrics. Selectors are in their text form.
type Metrics interface {
	// Resource returns the usage of a resource by pod, of one container if one is
	// named and of all of them otherwise.
	Resource(ctx context.Context, namespace, selector string, resource corev1.ResourceName, container string) (map[string]Sample, error)
	// Pods returns a custom metric by pod.
	Pods(ctx context.Context, namespace, selector, metric, metricSelector string) (map[string]Sample, error)
	// Object returns a custom metric of an object, in thousandths.
	Object(ctx context.Context, namespace string, object autoscalingv2.CrossVersionObjectReference, metric, metricSelector string) (int64, error)
	// External returns the values of an external metric, in thousandths.
	External(ctx context.Context, namespace, metric, metricSelector string) ([]int64, error)
}

// API reads the metrics APIs of a server.
type API struct {
	// Client sends requests to the server, to absolute paths.
	Client rest.Interface
	// Mapper returns the resource of an object's kind.
	Mapper meta.RESTMapper
}

func (a API) get(ctx context.Context, out any, params map[string]string, path ...string) error {
	req := a.Client.Get().AbsPath(path...).SetHeader("Accept", "application/json")
	for k, v := range params {
		if v != "" {
			req = req.Param(k, v)
		}
	}
	body, err := req.DoRaw(ctx)
	if err != nil {
		if status := (metav1.Status{}); json.Unmarshal(body, &status) == nil && status.Status == metav1.StatusFailure {
			return &apierrors.StatusError{ErrStatus: status} // it has more details
		}
		return err
	}
	return json.Unmarshal(body, out)
}

// asked adds the resource that was asked for to an error of a server which does
// not serve the path, as clients of a resource do.
func asked(err error, resource, group string) error {
	if apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse) {
		return fmt.Errorf("%w (get %s.%s)", err, resource, group)
	}
	return err
}

// Resource implements Metrics.
func (a API) Resource(ctx context.Context, namespace, selector string, resource corev1.ResourceName, container string) (map[string]Sample, error) {
	var list resources.PodMetricsList
	err := a.get(ctx, &list, map[string]string{"labelSelector": selector}, "apis", "metrics.k8s.io", "v1beta1", "namespaces", namespace, "pods")
	if err != nil {
		return nil, fmt.Errorf("unable to fetch metrics from resource metrics API: %w", asked(err, "pods", resources.GroupName))
	}
	if len(list.Items) == 0 {
		return nil, errors.New("no metrics returned from resource metrics API")
	}
	out := map[string]Sample{}
	for i := range list.Items {
		if v, ok := usage(&list.Items[i], resource, container); ok {
			out[list.Items[i].Name] = Sample{list.Items[i].Timestamp.Time, list.Items[i].Window.Duration, v}
		}
	}
	return out, nil
}

// usage returns the sum over containers; ok is false unless it is of all the
// containers in question.
func usage(m *resources.PodMetrics, resource corev1.ResourceName, container string) (sum int64, ok bool) {
	for _, c := range m.Containers {
		if container != "" && c.Name != container {
			continue
		}
		v, has := c.Usage[resource]
		if !has {
			return 0, false
		}
		sum, ok = sum+v.MilliValue(), true
	}
	return sum, ok
}

// custom tries the versions of the custom metrics API, the newest first. A
// version's answer that there is no such metric is final.
func (a API) custom(ctx context.Context, params map[string]string, path ...string) ([]custom.MetricValue, error) {
	for _, version := range []string{"v1beta2", "v1beta1"} {
		var list custom.MetricValueList
		got := a.get(ctx, &list, params, append([]string{"apis", custom.GroupName, version}, path...)...)
		switch {
		case got == nil && len(list.Items) == 0:
			return nil, errors.New("no metrics returned from custom metrics API")
		case got == nil:
			return list.Items, nil
		case apierrors.IsNotFound(got) && apierrors.HasStatusCause(got, metav1.CauseTypeUnexpectedServerResponse):
			continue
		}
		return nil, fmt.Errorf("unable to fetch metrics from custom metrics API: %w", got)
	}
	return nil, fmt.Errorf("unable to fetch metrics from custom metrics API: no custom metrics API (%s) registered", custom.GroupName)
}

// Pods implements Metrics.
func (a API) Pods(ctx context.Context, namespace, selector, metric, metricSelector string) (map[string]Sample, error) {
	items, err := a.custom(ctx, map[string]string{"labelSelector": selector, "metricLabelSelector": metricSelector}, "namespaces", namespace, "pods", "*", metric)
	if err != nil {
		return nil, err
	}
	out := map[string]Sample{}
	for _, m := range items {
		window := defaultWindow
		if m.WindowSeconds != nil {
			window = podapi.Seconds(*m.WindowSeconds)
		}
		out[m.DescribedObject.Name] = Sample{m.Timestamp.Time, window, m.Value.MilliValue()}
	}
	return out, nil
}

// Object implements Metrics. Of namespaces an autoscaler sees only its own.
func (a API) Object(ctx context.Context, namespace string, object autoscalingv2.CrossVersionObjectReference, metric, metricSelector string) (int64, error) {
	path := []string{"namespaces", namespace, "metrics", metric}
	gvk := schema.FromAPIVersionAndKind(object.APIVersion, object.Kind)
	if gvk.GroupKind() != (schema.GroupKind{Kind: "Namespace"}) {
		mapping, err := a.Mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if err != nil {
			return 0, fmt.Errorf("unable to fetch metrics from custom metrics API: unable to map kind %s to resource: %w", gvk.GroupKind(), err)
		}
		path = []string{"namespaces", namespace, mapping.Resource.GroupResource().String(), object.Name, metric}
	}
	items, err := a.custom(ctx, map[string]string{"metricLabelSelector": metricSelector}, path...)
	if err != nil {
		return 0, err
	}
	if len(items) != 1 {
		return 0, fmt.Errorf("unable to fetch metrics from custom metrics API: the custom metrics API server returned %v results when we asked for exactly one", len(items))
	}
	return items[0].Value.MilliValue(), nil
}

// External implements Metrics.
func (a API) External(ctx context.Context, namespace, metric, metricSelector string) ([]int64, error) {
	var list external.ExternalMetricValueList
	err := a.get(ctx, &list, map[string]string{"labelSelector": metricSelector}, "apis", "external.metrics.k8s.io", "v1beta1", "namespaces", namespace, metric)
	if err != nil {
		return nil, fmt.Errorf("unable to fetch metrics from external metrics API: %w", asked(err, metric, external.GroupName))
	}
	if len(list.Items) == 0 {
		return nil, errors.New("no metrics returned from external metrics API")
	}
	var out []int64
	for _, m := range list.Items {
		out = append(out, m.Value.MilliValue())
	}
	return out, nil
}
