package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	criapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	crilogs "k8s.io/cri-client/pkg/logs"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/nodeagent/runtime"
)

// logs writes a container's log as the query's PodLogOptions ask.
func (s *server) logs(w http.ResponseWriter, r *http.Request) {
	options, err := logOptions(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	pod := s.find(w, r)
	if pod == nil {
		return
	}
	name := r.PathValue("container")
	found := podapi.ContainerStatus(&pod.Status, name)
	c, err := s.container(r.Context(), pod, name, options.Previous)
	switch {
	case err != nil:
		http.Error(w, runtime.Text(err), http.StatusInternalServerError)
		return
	case c == nil:
		code, message := whyNoLog(pod, name, found, options.Previous)
		http.Error(w, message, code)
		return
	}
	response, err := s.config.Runtime.ContainerStatus(r.Context(), &runtimeapi.ContainerStatusRequest{ContainerId: c.Id})
	if err != nil {
		http.Error(w, runtime.Text(err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Transfer-Encoding", "chunked")
	out := &flushing{w: w}
	stdout, stderr := io.Writer(out), io.Writer(out)
	if options.Stream != nil && *options.Stream == corev1.LogStreamStdout {
		stderr = io.Discard
	}
	if options.Stream != nil && *options.Stream == corev1.LogStreamStderr {
		stdout = io.Discard
	}
	err = crilogs.ReadLogs(r.Context(), response.Status.LogPath, c.Id, readOptions(options, s.config.Clock.Now()),
		statusOnly{service: s.config.Runtime}, stdout, stderr)
	if err != nil && r.Context().Err() == nil && !out.wrote {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func readOptions(o *corev1.PodLogOptions, now time.Time) *crilogs.LogOptions {
	out := &crilogs.LogOptions{TailLines: o.TailLines, LimitBytes: o.LimitBytes, Follow: o.Follow, Timestamp: o.Timestamps}
	if o.SinceSeconds != nil {
		out.Since = now.Add(-podapi.Seconds(*o.SinceSeconds))
	} else if o.SinceTime != nil {
		out.Since = o.SinceTime.Time
	}
	return out
}

// whyNoLog returns why there is no log, in the kubelet's words.
func whyNoLog(pod *corev1.Pod, name string, found *corev1.ContainerStatus, previous bool) (int, string) {
	switch {
	case found == nil && !hasContainer(pod, name):
		return http.StatusNotFound, fmt.Sprintf("container %q not found in pod %q", name, pod.Name+"_"+pod.Namespace)
	case previous:
		return http.StatusBadRequest, fmt.Sprintf("previous terminated container %q in pod %q not found", name, pod.Name)
	case found != nil && found.State.Waiting != nil:
		switch reason := found.State.Waiting.Reason; reason {
		case "ErrImagePull":
			return http.StatusBadRequest, fmt.Sprintf("container %q in pod %q is waiting to start: image can't be pulled", name, pod.Name)
		case "ImagePullBackOff":
			return http.StatusBadRequest, fmt.Sprintf("container %q in pod %q is waiting to start: trying and failing to pull image", name, pod.Name)
		default:
			return http.StatusBadRequest, fmt.Sprintf("container %q in pod %q is waiting to start: %s", name, pod.Name, reason)
		}
	}
	return http.StatusBadRequest, fmt.Sprintf("container %q in pod %q is not available", name, pod.Name)
}

func hasContainer(pod *corev1.Pod, name string) bool {
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range list {
			if list[i].Name == name {
				return true
			}
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		if pod.Spec.EphemeralContainers[i].Name == name {
			return true
		}
	}
	return false
}

// flushing passes everything on at once, for clients that follow.
type flushing struct {
	w     http.ResponseWriter
	wrote bool
}

func (f *flushing) Write(b []byte) (int, error) {
	f.wrote = true
	n, err := f.w.Write(b)
	if flusher, ok := f.w.(http.Flusher); ok {
		flusher.Flush()
	}
	return n, err
}

// statusOnly holds what reading logs needs of a runtime: whether the container runs.
type statusOnly struct {
	criapi.RuntimeService // nil: nothing else is called
	service               runtime.Service
}

// ContainerStatus asks the runtime.
func (s statusOnly) ContainerStatus(ctx context.Context, id string, verbose bool) (*runtimeapi.ContainerStatusResponse, error) {
	return s.service.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: id, Verbose: verbose})
}

// logOptions reads PodLogOptions from a query.
func logOptions(q url.Values) (*corev1.PodLogOptions, error) {
	o := &corev1.PodLogOptions{}
	var err error
	boolean := func(name string, field *bool) {
		if v := q.Get(name); v != "" && err == nil {
			if *field, err = strconv.ParseBool(v); err != nil {
				err = fmt.Errorf("parsing %s: %w", name, err)
			}
		}
	}
	number := func(name string, field **int64) {
		if v := q.Get(name); v != "" && err == nil {
			var n int64
			if n, err = strconv.ParseInt(v, 10, 64); err != nil || n < 0 {
				err = fmt.Errorf("parsing %s: %q is no number of 0 or more", name, v)
				return
			}
			*field = &n
		}
	}
	boolean("follow", &o.Follow)
	boolean("previous", &o.Previous)
	boolean("timestamps", &o.Timestamps)
	number("tailLines", &o.TailLines)
	number("limitBytes", &o.LimitBytes)
	number("sinceSeconds", &o.SinceSeconds)
	if v := q.Get("sinceTime"); v != "" && err == nil {
		var t time.Time
		if t, err = time.Parse(time.RFC3339, v); err != nil {
			err = fmt.Errorf("parsing sinceTime: %w", err)
		}
		since := metav1.NewTime(t)
		o.SinceTime = &since
	}
	if v := q.Get("stream"); v != "" {
		o.Stream = &v
	}
	return o, err
}
