package cluster

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/coracle-k8s/coracle/apiserver/services"
	"github.com/coracle-k8s/coracle/controllers/horizontalpodautoscaler"
)

// metricsAnswer bounds the answer of a metrics server, in bytes: a few kilobytes a pod.
const metricsAnswer = 64 << 20

// metricsAPI returns a client of the metrics APIs. Aggregated servers serve
// these APIs, so their types are not in the scheme.
func (c *Cluster) metricsAPI(mgr manager.Manager) (horizontalpodautoscaler.API, error) {
	config := rest.CopyConfig(c.server.RESTConfig())
	config.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
	config.Wrap(services.Limit(metricsAnswer))
	kube, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return horizontalpodautoscaler.API{}, fmt.Errorf("making a client of metrics APIs: %w", err)
	}
	return horizontalpodautoscaler.API{Client: kube, Mapper: mgr.GetRESTMapper()}, nil
}
