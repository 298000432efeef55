package controllers

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	"github.com/coracle-k8s/coracle/apiserver/services"
	"github.com/coracle-k8s/coracle/controllers/horizontalpodautoscaler"
)

// metricsAnswer bounds the answer of a metrics server, in bytes: a few kilobytes a pod.
const metricsAnswer = 64 << 20

// metricsAPI returns a client of the metrics APIs. Aggregated servers serve
// these APIs, so their types are not in the scheme.
func (t *term) metricsAPI() (horizontalpodautoscaler.API, error) {
	config := rest.CopyConfig(t.Server.RESTConfig())
	config.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
	config.Wrap(services.Limit(metricsAnswer))
	kube, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return horizontalpodautoscaler.API{}, fmt.Errorf("making a client of metrics APIs: %w", err)
	}
	return horizontalpodautoscaler.API{Client: kube, Mapper: t.GetRESTMapper()}, nil
}
