package horizontalpodautoscaler

import (
	"io"
	"net/http"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// answering is a metrics server that answers everything alike.
type answering struct {
	code int
	body string
}

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

// FuzzAnswers reads what metrics servers answer: numbers or an error.
func FuzzAnswers(f *testing.F) {
	for _, body := range []string{
		"", "null", "{}", "[]", `{"items":[null]}`, `{"items":[{"metadata":{"name":"a"},"timestamp":"2026-01-01T00:00:00Z","window":"30s","containers":[{"name":"c","usage":{"cpu":"1n","memory":"1Ei"}}]}]}`,
		`{"items":[{"describedObject":{"name":"a"},"value":"99999999999999999999999","windowSeconds":9223372036854775807}]}`, `{"items":[{"value":"1e999"}]}`, `{"kind":"Status","status":"Failure","code":404,"details":{"causes":[null]}}`, `{"items":[{"value":""}]}`, `{"items":{}}`,
	} {
		f.Add(200, body)
		f.Add(404, body)
	}
	f.Fuzz(func(t *testing.T, code int, body string) {
		if code < 200 || code > 599 || code >= 300 && code < 400 || code == 429 || code >= 500 {
			return // the client asks again
		}
		kube, err := rest.UnversionedRESTClientFor(&rest.Config{Host: "http://metrics", Transport: answering{code, body}, QPS: -1,
			ContentConfig: rest.ContentConfig{NegotiatedSerializer: serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()}})
		if err != nil {
			t.Fatal(err)
		}
		api, ctx := API{Client: kube}, t.Context()
		samples, err := api.Resource(ctx, "ns", "a=b", corev1.ResourceCPU, "")
		if err != nil && samples != nil {
			t.Errorf("%v and %v", samples, err)
		}
		if samples, err = api.Pods(ctx, "ns", "", "m", ""); err == nil {
			for name, s := range samples {
				if s.Window < 0 && !strings.Contains(body, "-") {
					t.Errorf("%s was measured within %v", name, s.Window)
				}
			}
		}
		_, _ = api.Object(ctx, "ns", autoscalingv2.CrossVersionObjectReference{APIVersion: "v1", Kind: "Namespace", Name: "ns"}, "m", "")
		if values, err := api.External(ctx, "ns", "m", ""); err == nil && len(values) == 0 {
			t.Error("neither values nor an error")
		}
	})
}
