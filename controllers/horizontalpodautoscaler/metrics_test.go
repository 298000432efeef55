package horizontalpodautoscaler

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// TestAnswers has servers that serve less than was asked for, and compares the
// errors with upstream's.
func TestAnswers(t *testing.T) {
	namespace := autoscalingv2.CrossVersionObjectReference{APIVersion: "v1", Kind: "Namespace", Name: "ns"}
	object := func(a API) error {
		_, err := a.Object(t.Context(), "ns", namespace, "hits", "")
		return err
	}
	const custom = "unable to fetch metrics from custom metrics API: "
	value := `{"describedObject":{"name":"ns"},"value":"3"}`
	for name, c := range map[string]struct {
		paths map[string]string // answers by the path's beginning; a number is a failure's message
		ask   func(API) error
		want  string
	}{
		"no resource metrics": {ask: func(a API) error {
			_, err := a.Resource(t.Context(), "ns", "", corev1.ResourceCPU, "")
			return err
		}, want: "unable to fetch metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)"},
		"no external metrics": {ask: func(a API) error {
			_, err := a.External(t.Context(), "ns", "mails", "")
			return err
		}, want: "unable to fetch metrics from external metrics API: the server could not find the requested resource (get mails.external.metrics.k8s.io)"},
		"no custom metrics": {ask: object, want: custom + "no custom metrics API (custom.metrics.k8s.io) registered"},
		"no such metric":    {map[string]string{"/apis/custom.metrics.k8s.io/v1beta2/": "404 no hits"}, object, custom + "no hits"},
		"the older version": {map[string]string{"/apis/custom.metrics.k8s.io/v1beta1/": `{"items":[` + value + `]}`}, object, ""},
		"more than asked for": {map[string]string{"/apis/custom.metrics.k8s.io/v1beta2/": `{"items":[` + value + "," + value + `]}`}, object,
			custom + "the custom metrics API server returned 2 results when we asked for exactly one"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for path, answer := range c.paths {
					if !strings.HasPrefix(r.URL.Path, path) {
						continue
					}
					w.Header().Set("Content-Type", "application/json")
					if message, failed := strings.CutPrefix(answer, "404 "); failed {
						w.WriteHeader(http.StatusNotFound)
						_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
							Status: metav1.StatusFailure, Reason: metav1.StatusReasonNotFound, Code: http.StatusNotFound, Message: message})
						return
					}
					_, _ = w.Write([]byte(answer))
					return
				}
				http.NotFound(w, r)
			}))
			defer server.Close()
			kube, err := rest.UnversionedRESTClientFor(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{
				NegotiatedSerializer: serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()}})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := c.ask(API{Client: kube}); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
