package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	kubelettypes "k8s.io/kubelet/pkg/types"
	"k8s.io/utils/clock"

	"github.com/coracle-k8s/coracle/nodeagent/runtime"
)

// Config holds the dependencies of a server; all fields are required.
type Config struct {
	NodeName string
	Runtime  runtime.Service
	Clock    clock.PassiveClock
	// Pods lists the node's pods with their newest status.
	Pods func() []*corev1.Pod
	// Dial reaches the runtime's streaming server, which may listen in the node's
	// network namespace.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Configz is shown under /configz as kubeletconfig.
	Configz any
}

// New returns the handler.
func New(config Config) http.Handler {
	s := &server{config: config}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /healthz/{check...}", s.healthz)
	mux.HandleFunc("GET /pods", s.pods)
	mux.HandleFunc("GET /pods/", s.pods)
	mux.HandleFunc("GET /runningpods/", s.pods)
	mux.HandleFunc("GET /configz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"kubeletconfig": config.Configz})
	})
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", s.logs)
	for _, verb := range []string{"exec", "attach"} {
		handler := map[string]http.HandlerFunc{"exec": s.exec, "attach": s.attach}[verb]
		mux.HandleFunc("/"+verb+"/{namespace}/{pod}/{container}", handler)
		mux.HandleFunc("/"+verb+"/{namespace}/{pod}/{uid}/{container}", handler)
	}
	mux.HandleFunc("/portForward/{namespace}/{pod}", s.portForward)
	mux.HandleFunc("/portForward/{namespace}/{pod}/{uid}", s.portForward)
	mux.HandleFunc("POST /run/{namespace}/{pod}/{container}", s.run)
	mux.HandleFunc("GET /stats/summary", s.summary)
	mux.HandleFunc("GET /metrics/resource", s.resourceMetrics)
	mux.HandleFunc("GET /metrics", s.metrics)
	return mux
}

type server struct{ config Config }

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	// An error here is the reader's going away.
	_ = json.NewEncoder(w).Encode(v)
}

// healthz answers ok if the runtime answers.
func (s *server) healthz(w http.ResponseWriter, r *http.Request) {
	if _, err := s.config.Runtime.Version(r.Context(), &runtimeapi.VersionRequest{}); err != nil {
		http.Error(w, "container runtime is down: "+runtime.Text(err), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, "ok")
}

func (s *server) pods(w http.ResponseWriter, _ *http.Request) {
	list := corev1.PodList{Items: []corev1.Pod{}}
	list.APIVersion, list.Kind = "v1", "PodList"
	for _, pod := range s.config.Pods() {
		list.Items = append(list.Items, *pod)
	}
	writeJSON(w, list)
}

// find returns the pod of a request, or answers that there is none.
func (s *server) find(w http.ResponseWriter, r *http.Request) *corev1.Pod {
	namespace, name, uid := r.PathValue("namespace"), r.PathValue("pod"), types.UID(r.PathValue("uid"))
	for _, pod := range s.config.Pods() {
		if pod.Namespace == namespace && pod.Name == name && (uid == "" || pod.UID == uid) {
			return pod
		}
	}
	http.Error(w, fmt.Sprintf("pod %q not found", name+"_"+namespace), http.StatusNotFound)
	return nil
}

// container returns a container of a pod by name: the newest one, or with
// previous the one before. Errors have the words that users see.
func (s *server) container(ctx context.Context, pod *corev1.Pod, name string, previous bool) (*runtimeapi.Container, error) {
	list, err := s.config.Runtime.ListContainers(ctx, &runtimeapi.ListContainersRequest{Filter: &runtimeapi.ContainerFilter{
		LabelSelector: map[string]string{
			kubelettypes.KubernetesPodUIDLabel: string(pod.UID), kubelettypes.KubernetesContainerNameLabel: name,
		}}})
	if err != nil {
		return nil, fmt.Errorf("listing containers of pod %s: %w", pod.Name, err)
	}
	var newest, before *runtimeapi.Container
	for _, c := range list.Containers {
		switch {
		case newest == nil || c.Metadata.GetAttempt() > newest.Metadata.GetAttempt():
			newest, before = c, newest
		case before == nil || c.Metadata.GetAttempt() > before.Metadata.GetAttempt():
			before = c
		}
	}
	if previous {
		newest = before
	}
	return newest, nil
}
