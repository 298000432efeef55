package service

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/util/proxy"

	"github.com/coracle-k8s/coracle/apiserver/egress"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/connect"
)

// proxyStorage passes requests on to a ready pod behind the service: the name is
// [scheme:]name[:port], the port a number or a name. Endpoints that are no pod's
// are not used, see upstream's isValidAddress in
// pkg/registry/core/service/storage/storage.go.
type proxyStorage struct {
	env       registry.Env
	store     *genericregistry.Store
	family    corev1.IPFamily // preferred
	transport http.RoundTripper
}

// New implements rest.Storage.
func (s *proxyStorage) New() runtime.Object { return &corev1.ServiceProxyOptions{} }

// Destroy implements rest.Storage.
func (s *proxyStorage) Destroy() {}

// ConnectMethods implements rest.Connecter.
func (s *proxyStorage) ConnectMethods() []string { return connect.Methods() }

// NewConnectOptions implements rest.Connecter.
func (s *proxyStorage) NewConnectOptions() (runtime.Object, bool, string) {
	return &corev1.ServiceProxyOptions{}, true, "path"
}

// Connect implements rest.Connecter.
func (s *proxyStorage) Connect(ctx context.Context, id string, options runtime.Object, responder rest.Responder) (http.Handler, error) {
	o, ok := options.(*corev1.ServiceProxyOptions)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("invalid options object: %#v", options))
	}
	scheme, name, port, valid := utilnet.SplitSchemeNamePort(id)
	if !valid {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("invalid service request %q", id))
	}
	portName, err := s.portName(ctx, name, port)
	if err != nil {
		return nil, err
	}
	known, err := s.slices(ctx, name)
	if err != nil {
		return nil, err
	}
	host, err := proxy.RandomEndpoint(name, known, portName, s.family, func(e *discoveryv1.Endpoint) bool { return s.isPod(ctx, e) })
	if err != nil {
		return nil, err
	}
	ip, _, err := net.SplitHostPort(host)
	if err == nil {
		err = egress.CheckIP(ip)
	}
	if err != nil {
		return nil, err
	}
	location := &url.URL{Scheme: scheme, Host: host, Path: utilnet.JoinPreservingTrailingSlash("", o.Path)}
	return connect.Proxy(location, s.transport, responder), nil
}

// isPod reports whether the address of an endpoint is that of the pod it refers
// to: others may be written into an EndpointSlice by hand, and lead anywhere.
func (s *proxyStorage) isPod(ctx context.Context, e *discoveryv1.Endpoint) bool {
	if e.TargetRef == nil || e.TargetRef.Namespace != request.NamespaceValue(ctx) || len(e.Addresses) == 0 {
		return false
	}
	pods, err := s.env.Store(corev1.Resource("pods"))
	if err != nil {
		return false
	}
	obj, err := pods.Get(ctx, e.TargetRef.Name, &metav1.GetOptions{})
	if err != nil {
		return false
	}
	pod, ok := obj.(*corev1.Pod)
	return ok && slices.ContainsFunc(pod.Status.PodIPs, func(ip corev1.PodIP) bool { return ip.IP == e.Addresses[0] })
}

// portName returns the name of the port that is asked for. Only a number needs the
// Service, as in upstream's ResourceLocation: without one its EndpointSlices answer.
func (s *proxyStorage) portName(ctx context.Context, name, port string) (string, error) {
	number, err := strconv.ParseInt(port, 10, 64)
	if err != nil {
		return port, nil //nolint:nilerr // a name
	}
	obj, err := s.store.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	for _, p := range obj.(*corev1.Service).Spec.Ports {
		if int64(p.Port) == number {
			return p.Name, nil
		}
	}
	return "", apierrors.NewServiceUnavailable(fmt.Sprintf("no service port %d found for service %q", number, name))
}

func (s *proxyStorage) slices(ctx context.Context, name string) ([]*discoveryv1.EndpointSlice, error) {
	store, err := s.env.Store(discoveryv1.Resource("endpointslices"))
	if err != nil {
		return nil, err
	}
	list, err := store.List(ctx, &internalversion.ListOptions{LabelSelector: labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: name})})
	if err != nil {
		return nil, err
	}
	items := list.(*discoveryv1.EndpointSliceList).Items
	found := make([]*discoveryv1.EndpointSlice, len(items))
	for i := range items {
		found[i] = &items[i]
	}
	return found, nil
}
