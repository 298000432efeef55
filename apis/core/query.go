package core

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
)

// addQueryConversions lets a parameter codec read the options of logs, exec,
// attach, port-forward and proxy from a URL's query.
func addQueryConversions(s *runtime.Scheme) error {
	for _, err := range []error{
		fromQuery(s, readLogOptions),
		fromQuery(s, func(q *query, o *corev1.PodExecOptions) {
			q.bools("stdin", &o.Stdin, "stdout", &o.Stdout, "stderr", &o.Stderr, "tty", &o.TTY)
			o.Container, o.Command = q.Get("container"), q.Values["command"]
		}),
		fromQuery(s, func(q *query, o *corev1.PodAttachOptions) {
			q.bools("stdin", &o.Stdin, "stdout", &o.Stdout, "stderr", &o.Stderr, "tty", &o.TTY)
			o.Container = q.Get("container")
		}),
		fromQuery(s, func(q *query, o *corev1.PodPortForwardOptions) {
			for _, v := range q.Values["ports"] {
				n, err := strconv.ParseInt(v, 10, 32)
				q.fail("ports", err)
				o.Ports = append(o.Ports, int32(n))
			}
		}),
		fromQuery(s, func(q *query, o *corev1.PodProxyOptions) { o.Path = q.Get("path") }),
		fromQuery(s, func(q *query, o *corev1.NodeProxyOptions) { o.Path = q.Get("path") }),
		fromQuery(s, func(q *query, o *corev1.ServiceProxyOptions) { o.Path = q.Get("path") }),
	} {
		if err != nil {
			return fmt.Errorf("adding the query parameters of core/v1: %w", err)
		}
	}
	return nil
}

func readLogOptions(q *query, o *corev1.PodLogOptions) {
	o.Container = q.Get("container")
	q.bools("follow", &o.Follow, "previous", &o.Previous, "timestamps", &o.Timestamps,
		"insecureSkipTLSVerifyBackend", &o.InsecureSkipTLSVerifyBackend)
	o.SinceSeconds, o.TailLines, o.LimitBytes = q.int64("sinceSeconds"), q.int64("tailLines"), q.int64("limitBytes")
	if v := q.Get("sinceTime"); v != "" {
		t, err := time.Parse(time.RFC3339, v)
		q.fail("sinceTime", err)
		o.SinceTime = &metav1.Time{Time: t.Local()}
	}
	if q.Has("stream") {
		o.Stream = new(q.Get("stream"))
	}
}

func fromQuery[T any](s *runtime.Scheme, read func(*query, *T)) error {
	return s.AddConversionFunc((*url.Values)(nil), (*T)(nil), func(from, to any, _ conversion.Scope) error {
		q := query{Values: *from.(*url.Values)}
		read(&q, to.(*T))
		return q.err
	})
}

// query reads typed parameters and keeps the first error.
type query struct {
	url.Values
	err error
}

func (q *query) fail(name string, err error) {
	if err != nil && q.err == nil {
		q.err = fmt.Errorf("reading query parameter %s: %w", name, err)
	}
}

// bools takes pairs of a name and a *bool. A name without a value is true, as
// upstream has it; so is everything but "false" and "0".
func (q *query) bools(pairs ...any) {
	for i := 0; i < len(pairs); i += 2 {
		if name := pairs[i].(string); q.Has(name) {
			v := q.Get(name)
			*pairs[i+1].(*bool) = v != "false" && v != "0" //nolint:gosec // callers give pairs
		}
	}
}

func (q *query) int64(name string) *int64 {
	v := q.Get(name)
	if v == "" {
		return nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	q.fail(name, err)
	return &n
}
