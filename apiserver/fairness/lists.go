package fairness

import (
	"bufio"
	"context"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	epmetrics "k8s.io/apiserver/pkg/endpoints/metrics"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/endpoints/responsewriter"
)

const (
	// largeList is the size, in bytes of storage, from which a list takes turns:
	// a millisecond or two of encoding.
	largeList = 128 << 10
	// piece is the part of an answer that is made in a turn, in bytes: a
	// millisecond's work if it is compressed, less otherwise.
	piece = 16 << 10
)

// processors returns how many large lists compute at once: one processor stays
// free for other requests, if there is another.
func processors() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// inTurns makes large lists take turns. Others go to next as they are. A list has
// its first turn before next gives it a seat, for which it waits as long as a
// request waits in a queue there, and is rejected likewise.
func (f *Filter) inTurns(next http.Handler, wait time.Duration) http.Handler {
	turns := newTurns(processors())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, ok := request.UserFrom(r.Context())
		if !ok || exempt(r.Context()) || !f.large(r) {
			next.ServeHTTP(w, r)
			return
		}
		turn := turns.arrive(u.GetName())
		patient, cancel := context.WithTimeout(r.Context(), wait)
		begun := turn.begin(patient)
		cancel()
		if !begun {
			reject(w, r)
			return
		}
		defer turn.give()
		out := &turnWriter{ResponseWriter: w, ctx: r.Context(), turn: turn}
		buffered := &bufferedWriter{ResponseWriter: w, out: bufio.NewWriterSize(out, piece)}
		next.ServeHTTP(responsewriter.WrapForHTTP1Or2(buffered), r)
		// A client that is gone does not want to know.
		_ = buffered.out.Flush()
	})
}

// reject answers as priority and fairness does when its queues are full.
func reject(w http.ResponseWriter, r *http.Request) {
	if info, ok := request.RequestInfoFrom(r.Context()); ok {
		epmetrics.RecordDroppedRequest(r, info, epmetrics.APIServerComponent, false)
		epmetrics.RecordRequestTermination(r, info, epmetrics.APIServerComponent, http.StatusTooManyRequests)
	}
	w.Header().Set("Retry-After", "1")
	http.Error(w, "Too many requests, please try again later.", http.StatusTooManyRequests)
}

// large reports whether r lists so much that encoding it takes a while.
func (f *Filter) large(r *http.Request) bool {
	info, ok := request.RequestInfoFrom(r.Context())
	if !ok || !info.IsResourceRequest || info.Verb != "list" || info.Name != "" || info.Subresource != "" {
		return false
	}
	stats, err := f.size(schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}.String())
	if err != nil {
		return false
	}
	objects := stats.ObjectCount
	if limit, err := strconv.ParseInt(r.URL.Query().Get("limit"), 10, 64); err == nil && limit > 0 {
		objects = min(objects, limit)
	}
	return objects*stats.EstimatedAverageObjectSizeBytes >= largeList
}

// turnWriter writes what is computed in a turn, without keeping the turn: the
// client may be slow.
type turnWriter struct {
	http.ResponseWriter
	ctx  context.Context // the request's
	turn *ticket
}

// Write implements io.Writer.
func (w *turnWriter) Write(p []byte) (int, error) {
	w.turn.give()
	n, err := w.ResponseWriter.Write(p)
	w.turn.take(w.ctx)
	return n, err
}

// bufferedWriter collects a piece of an answer.
type bufferedWriter struct {
	http.ResponseWriter
	out *bufio.Writer
}

var _ responsewriter.UserProvidedDecorator = &bufferedWriter{}

// Unwrap implements responsewriter.UserProvidedDecorator.
func (w *bufferedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write implements http.ResponseWriter.
func (w *bufferedWriter) Write(p []byte) (int, error) { return w.out.Write(p) }

// Flush implements http.Flusher.
func (w *bufferedWriter) Flush() {
	// The next write returns the error, if there is one.
	_ = w.out.Flush()
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}
