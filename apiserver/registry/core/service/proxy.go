package service

import (
	"context"
	"fmt"
	"math/rand/v2"
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
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/connect"
)

// proxyStorage passes requests on to a ready endpoint of the service: the name
// is [scheme:]name[:port], the port a number or a name.
type proxyStorage struct {
	env       registry.Env
	store     *genericregistry.Store
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
	obj, err := s.store.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	portName, err := portOf(obj.(*corev1.Service), name, port)
	if err != nil {
		return nil, err
	}
	list, err := s.slices(ctx, name)
	if err != nil {
		return nil, err
	}
	host, err := s.pick(ctx, name, endpoints(list, portName))
	if err != nil {
		return nil, err
	}
	location := &url.URL{Scheme: scheme, Host: host, Path: utilnet.JoinPreservingTrailingSlash("", o.Path)}
	if scheme == "" {
		location.Scheme = "http"
	}
	return connect.Proxy(location, s.transport, responder), nil
}

// portOf is the name of the port that is asked for.
func portOf(s *corev1.Service, name, port string) (string, error) {
	if port == "" && len(s.Spec.Ports) == 1 {
		return s.Spec.Ports[0].Name, nil
	}
	number, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		return port, nil
	}
	for _, p := range s.Spec.Ports {
		if int64(p.Port) == number {
			return p.Name, nil
		}
	}
	return "", apierrors.NewServiceUnavailable(fmt.Sprintf("no service port %d found for service %q", number, name))
}

func (s *proxyStorage) slices(ctx context.Context, name string) ([]discoveryv1.EndpointSlice, error) {
	store, err := s.env.Store(discoveryv1.Resource("endpointslices"))
	if err != nil {
		return nil, err
	}
	list, err := store.List(ctx, &internalversion.ListOptions{LabelSelector: labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: name})})
	if err != nil {
		return nil, err
	}
	return list.(*discoveryv1.EndpointSliceList).Items, nil
}

// endpoint is one address of a ready endpoint, with the port that is asked for.
type endpoint struct {
	address string
	port    int32
	// pod is what the endpoint claims to be.
	pod *corev1.ObjectReference
}

func endpoints(written []discoveryv1.EndpointSlice, portName string) []endpoint {
	var list []endpoint
	for i := range written {
		for _, p := range written[i].Ports {
			if ptr.Deref(p.Name, "") != portName || p.Port == nil {
				continue
			}
			for _, e := range written[i].Endpoints {
				if ptr.Deref(e.Conditions.Ready, true) && len(e.Addresses) > 0 {
					list = append(list, endpoint{e.Addresses[0], *p.Port, e.TargetRef})
				}
			}
		}
	}
	return list
}

// pick returns host and port of any of the endpoints that is a pod. EndpointSlices
// are written by users too: through other addresses they would reach what the
// server alone can reach.
func (s *proxyStorage) pick(ctx context.Context, service string, list []endpoint) (string, error) {
	pods, err := s.env.Store(corev1.Resource("pods"))
	if err != nil {
		return "", err
	}
	for _, i := range rand.Perm(len(list)) {
		if e := list[i]; isPod(ctx, pods, e) && connect.Proxyable(e.address) == nil {
			return net.JoinHostPort(e.address, strconv.Itoa(int(e.port))), nil
		}
	}
	return "", apierrors.NewServiceUnavailable(fmt.Sprintf("no endpoints available for service %q", service))
}

// isPod reports whether the endpoint's address is one of the pod that it names,
// in the namespace of the request.
func isPod(ctx context.Context, pods rest.Getter, e endpoint) bool {
	if e.pod == nil || e.pod.Namespace != request.NamespaceValue(ctx) {
		return false
	}
	obj, err := pods.Get(ctx, e.pod.Name, &metav1.GetOptions{})
	if err != nil {
		return false
	}
	p, ok := obj.(*corev1.Pod)
	return ok && slices.ContainsFunc(p.Status.PodIPs, func(ip corev1.PodIP) bool { return ip.IP == e.address })
}
