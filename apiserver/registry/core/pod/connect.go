package pod

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	genericrest "k8s.io/apiserver/pkg/registry/generic/rest"
	"k8s.io/apiserver/pkg/registry/rest"

	corepod "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apiserver/egress"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/connect"
)

// locator finds where requests about a running pod go. Paths and parameters
// are those of the kubelet's API.
type locator struct {
	store *genericregistry.Store
	nodes registry.NodeConnector
}

func (l locator) get(ctx context.Context, name string) (*corev1.Pod, error) {
	obj, err := l.store.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return obj.(*corev1.Pod), nil
}

// agent returns the URL of path, followed by the pod's namespace and name and
// what else is given, at the agent of the pod's node.
func (l locator) agent(ctx context.Context, p *corev1.Pod, path, container string, query url.Values) (*url.URL, http.RoundTripper, error) {
	if p.Spec.NodeName == "" {
		return nil, nil, apierrors.NewBadRequest(fmt.Sprintf("pod %s does not have a host assigned", p.Name))
	}
	base, transport, err := connect.Agent(ctx, l.nodes, p.Spec.NodeName)
	if err != nil {
		return nil, nil, err
	}
	location := base.JoinPath(path, p.Namespace, p.Name)
	if container != "" {
		location = location.JoinPath(container)
	}
	location.RawQuery = query.Encode()
	return location, transport, nil
}

// containerOf checks the container's name, or takes the only one there is.
func containerOf(p *corev1.Pod, name string) (string, error) {
	if name != "" {
		if c, _ := corepod.FindContainer(&p.Spec, name); c == nil {
			return "", apierrors.NewBadRequest(fmt.Sprintf("container %s is not valid for pod %s", name, p.Name))
		}
		return name, nil
	}
	var containers, inits, ephemeral []string
	for i := range p.Spec.Containers {
		containers = append(containers, p.Spec.Containers[i].Name)
	}
	if len(containers) == 1 {
		return containers[0], nil
	}
	if len(containers) == 0 {
		return "", apierrors.NewBadRequest("a container name must be specified for pod " + p.Name)
	}
	for i := range p.Spec.InitContainers {
		inits = append(inits, p.Spec.InitContainers[i].Name)
	}
	for i := range p.Spec.EphemeralContainers {
		ephemeral = append(ephemeral, p.Spec.EphemeralContainers[i].Name)
	}
	msg := fmt.Sprintf("a container name must be specified for pod %s, choose one of: %s", p.Name, containers)
	if len(inits) > 0 {
		msg += fmt.Sprintf(" or one of the init containers: %s", inits)
	}
	if len(ephemeral) > 0 {
		msg += fmt.Sprintf(" or one of the ephemeral containers: %s", ephemeral)
	}
	return "", apierrors.NewBadRequest(msg)
}

// streamStorage is exec, attach and portforward.
type streamStorage struct {
	locator
	authorizer authorizer.UnconditionalAuthorizer
	options    func() runtime.Object
	connect    func(ctx context.Context, l locator, p *corev1.Pod, options runtime.Object, responder rest.Responder) (http.Handler, error)
}

// New implements rest.Storage.
func (s *streamStorage) New() runtime.Object { return s.options() }

// Destroy implements rest.Storage.
func (s *streamStorage) Destroy() {}

// ConnectMethods implements rest.Connecter.
func (s *streamStorage) ConnectMethods() []string { return connect.StreamMethods() }

// NewConnectOptions implements rest.Connecter.
func (s *streamStorage) NewConnectOptions() (runtime.Object, bool, string) {
	return s.options(), false, ""
}

// Connect implements rest.Connecter. A websocket is opened by GET, but does what
// POST does, so it needs the same permission.
func (s *streamStorage) Connect(ctx context.Context, name string, options runtime.Object, responder rest.Responder) (http.Handler, error) {
	if err := authorizeVerb(ctx, s.authorizer, "create"); err != nil {
		return nil, err
	}
	p, err := s.get(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.connect(ctx, s.locator, p, options, responder)
}

func exec(ctx context.Context, l locator, p *corev1.Pod, options runtime.Object, responder rest.Responder) (http.Handler, error) {
	o, ok := options.(*corev1.PodExecOptions)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("invalid options object: %#v", options))
	}
	streams := connect.Streams{Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr, TTY: o.TTY}
	query := streamQuery(streams)
	query["command"] = o.Command
	return remote(ctx, l, p, "exec", o.Container, streams, query, responder)
}

func attach(ctx context.Context, l locator, p *corev1.Pod, options runtime.Object, responder rest.Responder) (http.Handler, error) {
	o, ok := options.(*corev1.PodAttachOptions)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("invalid options object: %#v", options))
	}
	streams := connect.Streams{Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr, TTY: o.TTY}
	return remote(ctx, l, p, "attach", o.Container, streams, streamQuery(streams), responder)
}

func remote(ctx context.Context, l locator, p *corev1.Pod, path, container string, s connect.Streams, query url.Values, responder rest.Responder) (http.Handler, error) {
	container, err := containerOf(p, container)
	if err != nil {
		return nil, err
	}
	location, transport, err := l.agent(ctx, p, path, container, query)
	if err != nil {
		return nil, err
	}
	return connect.Remote(location, transport, s, responder), nil
}

func streamQuery(s connect.Streams) url.Values {
	query := url.Values{}
	for name, wanted := range map[string]bool{"input": s.Stdin, "output": s.Stdout, "error": s.Stderr, "tty": s.TTY} {
		if wanted {
			query.Set(name, "1")
		}
	}
	return query
}

func portForward(ctx context.Context, l locator, p *corev1.Pod, options runtime.Object, responder rest.Responder) (http.Handler, error) {
	o, ok := options.(*corev1.PodPortForwardOptions)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("invalid options object: %#v", options))
	}
	query := url.Values{}
	for _, port := range o.Ports {
		query.Add("port", strconv.Itoa(int(port)))
	}
	location, transport, err := l.agent(ctx, p, "portForward", "", query)
	if err != nil {
		return nil, err
	}
	return connect.PortForward(location, transport, responder), nil
}

// proxyStorage passes requests on to a port of the pod: the name is
// [scheme:]name[:port].
type proxyStorage struct {
	locator
	transport http.RoundTripper
}

// New implements rest.Storage.
func (s *proxyStorage) New() runtime.Object { return &corev1.PodProxyOptions{} }

// Destroy implements rest.Storage.
func (s *proxyStorage) Destroy() {}

// ConnectMethods implements rest.Connecter.
func (s *proxyStorage) ConnectMethods() []string { return connect.Methods() }

// NewConnectOptions implements rest.Connecter.
func (s *proxyStorage) NewConnectOptions() (runtime.Object, bool, string) {
	return &corev1.PodProxyOptions{}, true, "path"
}

// Connect implements rest.Connecter.
func (s *proxyStorage) Connect(ctx context.Context, id string, options runtime.Object, responder rest.Responder) (http.Handler, error) {
	scheme, name, port, valid := utilnet.SplitSchemeNamePort(id)
	if !valid {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("invalid pod request %q", id))
	}
	o, ok := options.(*corev1.PodProxyOptions)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("invalid options object: %#v", options))
	}
	p, err := s.get(ctx, name)
	if err != nil {
		return nil, err
	}
	location, err := podLocation(p, scheme, port)
	if err != nil {
		return nil, err
	}
	location.Path = utilnet.JoinPreservingTrailingSlash("", o.Path)
	return connect.Proxy(location, s.transport, responder), nil
}

// podLocation returns the named port of the pod, or the first it declares.
func podLocation(p *corev1.Pod, scheme, port string) (*url.URL, error) {
	for i := range p.Spec.Containers {
		if port == "" && len(p.Spec.Containers[i].Ports) > 0 {
			port = strconv.Itoa(int(p.Spec.Containers[i].Ports[0].ContainerPort))
		}
	}
	ip := p.Status.PodIP
	if len(p.Status.PodIPs) > 0 {
		ip = p.Status.PodIPs[0].IP
	}
	if err := egress.CheckIP(ip); err != nil {
		return nil, err
	}
	host := ip
	if port != "" {
		host = net.JoinHostPort(ip, port)
	}
	return &url.URL{Scheme: scheme, Host: host}, nil
}

// logStorage streams the log of a container.
type logStorage struct{ locator }

// New implements rest.Storage.
func (s *logStorage) New() runtime.Object { return &corev1.Pod{} }

// Destroy implements rest.Storage.
func (s *logStorage) Destroy() {}

// NewGetOptions implements rest.GetterWithOptions.
func (s *logStorage) NewGetOptions() (runtime.Object, bool, string) {
	return &corev1.PodLogOptions{}, false, ""
}

// ProducesMIMETypes implements rest.StorageMetadata.
func (s *logStorage) ProducesMIMETypes(string) []string { return []string{"text/plain"} }

// ProducesObject implements rest.StorageMetadata.
func (s *logStorage) ProducesObject(string) any { return "" }

// OverrideMetricsVerb reports following as CONNECT, because it may last.
func (s *logStorage) OverrideMetricsVerb(verb string) string {
	if verb == "GET" {
		return "CONNECT"
	}
	return verb
}

// Get implements rest.GetterWithOptions. A pod without a node has an empty log.
func (s *logStorage) Get(ctx context.Context, name string, options runtime.Object) (runtime.Object, error) {
	o, ok := options.(*corev1.PodLogOptions)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("invalid options object: %#v", options))
	}
	if errs := validateLogOptions(o); len(errs) > 0 {
		return nil, apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("PodLogOptions").GroupKind(), name, errs)
	}
	p, err := s.get(ctx, name)
	if err != nil {
		return nil, err
	}
	container, err := containerOf(p, o.Container)
	if err != nil {
		return nil, err
	}
	streamer := &genericrest.LocationStreamer{
		ContentType: "text/plain", Flush: o.Follow,
		ResponseChecker: genericrest.NewGenericHttpResponseChecker(schema.GroupResource{Resource: "pods/log"}, name),
		RedirectChecker: genericrest.PreventRedirects,
	}
	if p.Spec.NodeName == "" {
		return streamer, nil
	}
	streamer.Location, streamer.Transport, err = s.agent(ctx, p, "containerLogs", container, logQuery(o))
	return &logStreamer{streamer}, err
}

// logStreamer ends a log with an end alone. The library's copy to a websocket
// drops what is read along with the end, and agents of this process answer so.
type logStreamer struct{ *genericrest.LocationStreamer }

// InputStream implements rest.ResourceStreamer.
func (l *logStreamer) InputStream(ctx context.Context, version, accept string) (io.ReadCloser, bool, string, error) {
	stream, flush, contentType, err := l.LocationStreamer.InputStream(ctx, version, accept)
	if stream == nil || err != nil {
		return stream, flush, contentType, err
	}
	return &endAlone{ReadCloser: stream}, flush, contentType, nil
}

// endAlone never returns io.EOF together with data.
type endAlone struct {
	io.ReadCloser
	ended bool
}

// Read implements io.Reader.
func (e *endAlone) Read(b []byte) (int, error) {
	if e.ended {
		return 0, io.EOF
	}
	n, err := e.ReadCloser.Read(b)
	if n > 0 && err == io.EOF {
		e.ended, err = true, nil
	}
	return n, err
}

func logQuery(o *corev1.PodLogOptions) url.Values {
	query := url.Values{}
	for name, on := range map[string]bool{"follow": o.Follow, "previous": o.Previous, "timestamps": o.Timestamps} {
		if on {
			query.Set(name, "true")
		}
	}
	for name, n := range map[string]*int64{"sinceSeconds": o.SinceSeconds, "tailLines": o.TailLines, "limitBytes": o.LimitBytes} {
		if n != nil {
			query.Set(name, strconv.FormatInt(*n, 10))
		}
	}
	if o.SinceTime != nil {
		query.Set("sinceTime", o.SinceTime.Format(time.RFC3339))
	}
	return query
}

func validateLogOptions(o *corev1.PodLogOptions) field.ErrorList {
	var errs field.ErrorList
	if o.TailLines != nil && *o.TailLines < 0 {
		errs = append(errs, field.Invalid(field.NewPath("tailLines"), *o.TailLines, "must be greater than or equal to 0"))
	}
	if o.LimitBytes != nil && *o.LimitBytes < 1 {
		errs = append(errs, field.Invalid(field.NewPath("limitBytes"), *o.LimitBytes, "must be greater than 0"))
	}
	switch {
	case o.SinceSeconds != nil && o.SinceTime != nil:
		errs = append(errs, field.Forbidden(field.NewPath(""), "at most one of `sinceTime` or `sinceSeconds` may be specified"))
	case o.SinceSeconds != nil && *o.SinceSeconds < 1:
		errs = append(errs, field.Invalid(field.NewPath("sinceSeconds"), *o.SinceSeconds, "must be greater than 0"))
	}
	if o.Stream != nil { // an alpha feature
		errs = append(errs, field.Forbidden(field.NewPath("stream"), "may not be specified"))
	}
	return errs
}
