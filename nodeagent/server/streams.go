package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/proxy"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	kubelettypes "k8s.io/kubelet/pkg/types"

	"github.com/coracle-k8s/coracle/nodeagent/runtime"
)

// streams are the streams that a request asks to connect.
type streams struct{ stdin, stdout, stderr, tty bool }

// parseStreams reads them off a query, in the kubelet's terms (input=1) or the
// API's (stdin=true).
func parseStreams(q url.Values) (streams, error) {
	on := func(names ...string) bool {
		for _, n := range names {
			if v, err := strconv.ParseBool(q.Get(n)); err == nil && v {
				return true
			}
		}
		return false
	}
	s := streams{
		stdin: on(corev1.ExecStdinParam, "stdin"), stdout: on(corev1.ExecStdoutParam, "stdout"),
		stderr: on(corev1.ExecStderrParam, "stderr"), tty: on(corev1.ExecTTYParam),
	}
	if s.tty {
		s.stderr = false // a terminal has one output only
	}
	if !s.stdin && !s.stdout && !s.stderr {
		return s, errors.New("you must specify at least 1 of stdin, stdout, stderr")
	}
	return s, nil
}

// running returns the running container of a request and its pod, or answers why
// there is none.
func (s *server) running(w http.ResponseWriter, r *http.Request) (string, bool) {
	pod := s.find(w, r)
	if pod == nil {
		return "", false
	}
	name := r.PathValue("container")
	c, err := s.container(r.Context(), pod, name, false)
	if err != nil {
		http.Error(w, runtime.Text(err), http.StatusInternalServerError)
		return "", false
	}
	if c == nil || c.State != runtimeapi.ContainerState_CONTAINER_RUNNING {
		http.Error(w, fmt.Sprintf("container not found (%q)", name), http.StatusNotFound)
		return "", false
	}
	return c.Id, true
}

func (s *server) exec(w http.ResponseWriter, r *http.Request) {
	wanted, err := parseStreams(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	id, ok := s.running(w, r)
	if !ok {
		return
	}
	response, err := s.config.Runtime.Exec(r.Context(), &runtimeapi.ExecRequest{
		ContainerId: id, Cmd: r.URL.Query()[corev1.ExecCommandParam],
		Stdin: wanted.stdin, Stdout: wanted.stdout, Stderr: wanted.stderr, Tty: wanted.tty,
	})
	s.forward(w, r, response.GetUrl(), err)
}

func (s *server) attach(w http.ResponseWriter, r *http.Request) {
	wanted, err := parseStreams(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	id, ok := s.running(w, r)
	if !ok {
		return
	}
	response, err := s.config.Runtime.Attach(r.Context(), &runtimeapi.AttachRequest{
		ContainerId: id, Stdin: wanted.stdin, Stdout: wanted.stdout, Stderr: wanted.stderr, Tty: wanted.tty,
	})
	s.forward(w, r, response.GetUrl(), err)
}

func (s *server) portForward(w http.ResponseWriter, r *http.Request) {
	pod := s.find(w, r)
	if pod == nil {
		return
	}
	list, err := s.config.Runtime.ListPodSandbox(r.Context(), &runtimeapi.ListPodSandboxRequest{Filter: &runtimeapi.PodSandboxFilter{
		LabelSelector: map[string]string{kubelettypes.KubernetesPodUIDLabel: string(pod.UID)},
		State:         &runtimeapi.PodSandboxStateValue{State: runtimeapi.PodSandboxState_SANDBOX_READY},
	}})
	if err != nil {
		http.Error(w, runtime.Text(err), http.StatusInternalServerError)
		return
	}
	if len(list.Items) == 0 {
		http.Error(w, fmt.Sprintf("not able to find pod sandbox of %q", pod.Name+"_"+pod.Namespace), http.StatusNotFound)
		return
	}
	var ports []int32
	for _, v := range r.URL.Query()["port"] {
		if n, err := strconv.ParseInt(v, 10, 32); err == nil {
			ports = append(ports, int32(n))
		}
	}
	response, err := s.config.Runtime.PortForward(r.Context(), &runtimeapi.PortForwardRequest{PodSandboxId: list.Items[0].Id, Port: ports})
	s.forward(w, r, response.GetUrl(), err)
}

// forward connects a request with the runtime's streaming server.
func (s *server) forward(w http.ResponseWriter, r *http.Request, address string, err error) {
	if err != nil {
		http.Error(w, runtime.Text(err), http.StatusInternalServerError)
		return
	}
	target, err := url.Parse(address)
	if err != nil {
		http.Error(w, fmt.Sprintf("parsing the runtime's streaming address: %v", err), http.StatusInternalServerError)
		return
	}
	transport := &http.Transport{DialContext: s.config.Dial, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	// The runtime's address has all that is needed; the request's own query was
	// for this server.
	handler := proxy.NewUpgradeAwareHandler(target, transport, false, true, responder{})
	handler.ServeHTTP(w, r)
}

type responder struct{}

// Error answers with what went wrong on the way to the runtime.
func (responder) Error(w http.ResponseWriter, _ *http.Request, err error) {
	http.Error(w, err.Error(), http.StatusInternalServerError)
}

// run runs a command and answers with its output.
func (s *server) run(w http.ResponseWriter, r *http.Request) {
	id, ok := s.running(w, r)
	if !ok {
		return
	}
	response, err := s.config.Runtime.ExecSync(r.Context(), &runtimeapi.ExecSyncRequest{
		ContainerId: id, Cmd: r.URL.Query()["cmd"], Timeout: int64((2 * time.Minute) / time.Second),
	})
	if err != nil {
		http.Error(w, runtime.Text(err), http.StatusInternalServerError)
		return
	}
	if response.ExitCode != 0 {
		w.WriteHeader(http.StatusInternalServerError)
	}
	_, _ = w.Write(append(response.Stdout, response.Stderr...))
}
