package probes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Result is the result of one probe.
type Result int

// The results. Warning counts as success; Errored means that the probe had no
// result, and changes nothing.
const (
	Success Result = iota
	Warning
	Failure
	Errored
)

// maxBody bounds what is read of an HTTP answer, in bytes.
const maxBody = 10 << 10

// Target is the container to probe.
type Target struct {
	Pod         *corev1.Pod
	Container   *corev1.Container
	ContainerID string
	// IP is the pod's address, the node's for host network.
	IP string
}

// ExecFunc runs a command in a container: its output and exit code, or an error
// if it could not be run or (context.DeadlineExceeded) took too long.
type ExecFunc func(ctx context.Context, containerID string, command []string, timeout time.Duration) (output string, code int32, err error)

// Prober runs single probes and hooks.
type Prober struct {
	Exec ExecFunc
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// UserAgent is sent with HTTP probes, such as kube-probe/1.37.
	UserAgent string
}

// Probe runs a probe once, bounded by its timeout, and returns the result and its message.
func (p *Prober) Probe(ctx context.Context, t Target, probe *corev1.Probe) (Result, string) {
	timeout := time.Duration(max(probe.TimeoutSeconds, 1)) * time.Second
	if probe.Exec != nil {
		return p.exec(ctx, t, probe.Exec.Command, timeout)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch {
	case probe.HTTPGet != nil:
		return p.http(ctx, t, probe.HTTPGet)
	case probe.TCPSocket != nil:
		return p.tcp(ctx, t, probe.TCPSocket)
	case probe.GRPC != nil:
		return p.grpc(ctx, t, probe.GRPC)
	}
	return Errored, "missing probe handler for " + t.Container.Name
}

func (p *Prober) exec(ctx context.Context, t Target, command []string, timeout time.Duration) (Result, string) {
	output, code, err := p.Exec(ctx, t.ContainerID, command, timeout)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return Failure, fmt.Sprintf("command timed out: %q timed out after %s", strings.Join(command, " "), timeout)
	case err != nil:
		return Errored, err.Error()
	case code != 0:
		return Failure, output
	}
	return Success, output
}

func (p *Prober) tcp(ctx context.Context, t Target, a *corev1.TCPSocketAction) (Result, string) {
	port, err := Port(a.Port, t.Container)
	if err != nil {
		return Errored, err.Error()
	}
	conn, err := p.Dial(ctx, "tcp", net.JoinHostPort(host(a.Host, t.IP), port))
	if err != nil {
		return Failure, err.Error()
	}
	conn.Close()
	return Success, ""
}

func (p *Prober) http(ctx context.Context, t Target, a *corev1.HTTPGetAction) (Result, string) {
	request, err := p.request(ctx, t, a)
	if err != nil {
		return Errored, err.Error()
	}
	client := p.client()
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return Failure, err.Error()
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxBody))
	switch code := response.StatusCode; {
	case code >= 300 && code < 400:
		return Warning, fmt.Sprintf("Probe terminated redirects, Response body: %s", body)
	case code < 200 || code >= 400:
		return Failure, fmt.Sprintf("HTTP probe failed with statuscode: %d", code)
	}
	return Success, string(body)
}

// client follows redirects within the host only, and checks no certificates, as
// documented for probes.
func (p *Prober) client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext: p.Dial, DisableKeepAlives: true, DisableCompression: true, Proxy: nil,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // documented for probes
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.URL.Hostname() != via[0].URL.Hostname() {
				return http.ErrUseLastResponse
			}
			if len(via) >= 10 {
				return errors.New("stopped after 10 redirects")
			}
			return nil
		},
	}
}

func (p *Prober) request(ctx context.Context, t Target, a *corev1.HTTPGetAction) (*http.Request, error) {
	port, err := Port(a.Port, t.Container)
	if err != nil {
		return nil, err
	}
	scheme := strings.ToLower(string(a.Scheme))
	if scheme == "" {
		scheme = "http"
	}
	u, err := url.Parse(a.Path)
	if err != nil {
		u = &url.URL{Path: a.Path}
	}
	u.Scheme, u.Host = scheme, net.JoinHostPort(host(a.Host, t.IP), port)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("making request to %s: %w", u, err)
	}
	request.Header.Set("User-Agent", p.UserAgent)
	request.Header.Set("Accept", "*/*")
	for _, h := range a.HTTPHeaders {
		if strings.EqualFold(h.Name, "Host") {
			request.Host = h.Value
			continue
		}
		if _, seen := request.Header[http.CanonicalHeaderKey(h.Name)]; seen && (strings.EqualFold(h.Name, "User-Agent") || strings.EqualFold(h.Name, "Accept")) {
			if h.Value == "" {
				request.Header[http.CanonicalHeaderKey(h.Name)] = nil
				continue
			}
			request.Header.Set(h.Name, h.Value)
			continue
		}
		request.Header.Add(h.Name, h.Value)
	}
	return request, nil
}

func (p *Prober) grpc(ctx context.Context, t Target, a *corev1.GRPCAction) (Result, string) {
	address := net.JoinHostPort(t.IP, strconv.Itoa(int(a.Port)))
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUserAgent(p.UserAgent),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return p.Dial(ctx, "tcp", address) }))
	if err != nil {
		return Errored, err.Error()
	}
	defer conn.Close()
	service := ""
	if a.Service != nil {
		service = *a.Service
	}
	ctx = metadata.NewOutgoingContext(ctx, metadata.MD{})
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	switch status.Code(err) {
	case codes.OK:
	case codes.Unimplemented:
		return Failure, fmt.Sprintf("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): %s", status.Convert(err).Message())
	case codes.DeadlineExceeded, codes.Unavailable:
		return Failure, fmt.Sprintf("timeout: failed to connect service %q: %s", address, status.Convert(err).Message())
	default:
		return Failure, fmt.Sprintf("error: health rpc probe failed: %v", err)
	}
	if answer.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		return Failure, fmt.Sprintf("service unhealthy (responded with %q)", answer.Status)
	}
	return Success, "service healthy"
}

func host(name, ip string) string {
	if name != "" {
		return name
	}
	return ip
}

// Port resolves a port, which may be the name of one of the container's.
func Port(p intstr.IntOrString, c *corev1.Container) (string, error) {
	if p.Type == intstr.String {
		for _, candidate := range c.Ports {
			if candidate.Name == p.StrVal {
				return strconv.Itoa(int(candidate.ContainerPort)), nil
			}
		}
		if n, err := strconv.Atoi(p.StrVal); err == nil {
			return strconv.Itoa(n), nil
		}
		return "", fmt.Errorf("couldn't find port: %q in container %s", p.StrVal, c.Name)
	}
	if p.IntVal < 1 || p.IntVal > 65535 {
		return "", fmt.Errorf("invalid port number: %d", p.IntVal)
	}
	return strconv.Itoa(int(p.IntVal)), nil
}
