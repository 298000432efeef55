// Package inprocess carries HTTP requests to a handler in the same process:
// no socket, no TLS, bodies streamed through a pipe.
//
// The API of this package is not stable: see docs/api.md.
package inprocess

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// Transport is an http.RoundTripper to a handler that may be set later.
// Requests carry the transport's user; the handler must trust the context's
// user and must not be reachable by others.
type Transport struct {
	user    user.Info
	ready   chan struct{}
	once    sync.Once
	handler http.Handler
	// running counts handlers, so that a stop can wait for them; none begins
	// once stopped is set.
	running sync.WaitGroup
	mu      sync.RWMutex
	stopped bool
	ctx     context.Context
	cancel  context.CancelFunc
}

// New makes a transport whose requests act as u.
func New(u user.Info) *Transport {
	t := &Transport{user: u, ready: make(chan struct{})}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// inProcess is the key of contexts of a Transport's requests.
type inProcess struct{}

// From reports whether a request came through a Transport.
func From(r *http.Request) bool { return r.Context().Value(inProcess{}) != nil }

// Serve lets requests through to h; requests made earlier were waiting for it.
func (t *Transport) Serve(h http.Handler) {
	t.once.Do(func() {
		t.handler = h
		close(t.ready)
	})
}

// Stop ends all requests and waits for their handlers.
func (t *Transport) Stop() {
	t.mu.Lock()
	t.stopped = true
	t.mu.Unlock()
	t.cancel()
	t.running.Wait()
}

// enter begins a request; it returns false if the transport has stopped.
func (t *Transport) enter() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.stopped {
		return false
	}
	t.running.Add(1)
	return true
}

var errStopped = errors.New("the API server has stopped")

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-t.ready:
	case <-t.ctx.Done():
		return nil, errStopped
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if !t.enter() {
		return nil, errStopped
	}
	// Values of another request's context, such as its audit event, are not this
	// one's: only its end counts.
	ctx, cancel := context.WithCancel(context.WithValue(request.WithUser(context.Background(), t.user), inProcess{}, true))
	stopped, left := context.AfterFunc(t.ctx, cancel), context.AfterFunc(r.Context(), cancel)
	pr, pw := io.Pipe()
	w := &response{header: http.Header{}, body: pw, started: make(chan struct{})}
	// A reader that is gone must not block the handler.
	unblock := context.AfterFunc(ctx, func() { pr.CloseWithError(io.ErrUnexpectedEOF) })
	go func() {
		defer t.running.Done()
		t.serve(w, serverRequest(ctx, r))
		// The reader may still have to see the end of the body.
		unblock()
		stopped()
		left()
		cancel()
	}()
	select {
	case <-w.started:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return &http.Response{
		StatusCode: w.code, Status: http.StatusText(w.code), Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: w.sent, ContentLength: -1, Request: r,
		Body: &body{PipeReader: pr, done: cancel},
	}, nil
}

func serverRequest(ctx context.Context, r *http.Request) *http.Request {
	req := r.Clone(ctx)
	req.RequestURI = r.URL.RequestURI()
	req.RemoteAddr = "127.0.0.1:0"
	req.Proto, req.ProtoMajor, req.ProtoMinor = "HTTP/2.0", 2, 0
	if req.Host == "" {
		req.Host = r.URL.Host
	}
	if req.Body == nil {
		req.Body = http.NoBody
	}
	// controller-runtime reads what an apply answers as JSON only, whatever its
	// client is configured to accept.
	if strings.HasPrefix(req.Header.Get("Content-Type"), "application/apply-patch") {
		req.Header.Set("Accept", "application/json")
	}
	return req
}

func (t *Transport) serve(w *response, req *http.Request) {
	defer func() {
		// As with net/http, a handler's panic ends its request and no more; the
		// chain's own recovery has logged it.
		if recover() != nil {
			w.WriteHeader(http.StatusInternalServerError)
			w.body.CloseWithError(io.ErrUnexpectedEOF)
			return
		}
		w.WriteHeader(http.StatusOK)
		w.body.Close()
	}()
	t.handler.ServeHTTP(w, req)
}

// response is the handler's side of a request.
type response struct {
	header, sent http.Header
	code         int
	body         *io.PipeWriter
	started      chan struct{}
	once         sync.Once
}

func (w *response) Header() http.Header { return w.header }

func (w *response) WriteHeader(code int) {
	w.once.Do(func() {
		w.code, w.sent = code, w.header.Clone()
		close(w.started)
	})
}

func (w *response) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// Flush sends the header; the pipe holds nothing back.
func (w *response) Flush() { w.WriteHeader(http.StatusOK) }

// CloseNotify never fires: handlers watch the request's context.
func (w *response) CloseNotify() <-chan bool { return nil }

// body ends the request's context when the client closes it.
type body struct {
	*io.PipeReader
	done func()
}

func (b *body) Close() error {
	err := b.PipeReader.Close()
	b.done()
	return err
}
