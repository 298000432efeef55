package service

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
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
	portName, err := portOf(obj.(*corev1.Service), id, port)
	if err != nil {
		return nil, err
	}
	slices, err := s.slices(ctx, name)
	if err != nil {
		return nil, err
	}
	hosts := endpoints(slices, portName)
	if len(hosts) == 0 {
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("no endpoints available for service %q", id))
	}
	location := &url.URL{Scheme: scheme, Host: hosts[rand.IntN(len(hosts))], Path: utilnet.JoinPreservingTrailingSlash("", o.Path)}
	if scheme == "" {
		location.Scheme = "http"
	}
	host, _, err := net.SplitHostPort(location.Host)
	if err == nil {
		err = connect.Proxyable(host)
	}
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return connect.Proxy(location, s.transport, responder), nil
}

// portOf is the name of the port that is asked for.
func portOf(s *corev1.Service, id, port string) (string, error) {
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
	return "", apierrors.NewServiceUnavailable(fmt.Sprintf("no service port %d found for service %q", number, id))
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

// endpoints are host:port of what is ready.
func endpoints(slices []discoveryv1.EndpointSlice, portName string) []string {
	var hosts []string
	for i := range slices {
		for _, p := range slices[i].Ports {
			if ptr.Deref(p.Name, "") != portName || p.Port == nil {
				continue
			}
			for _, e := range slices[i].Endpoints {
				if ptr.Deref(e.Conditions.Ready, true) && len(e.Addresses) > 0 {
					hosts = append(hosts, net.JoinHostPort(e.Addresses[0], strconv.Itoa(int(*p.Port))))
				}
			}
		}
	}
	return hosts
}
