package apiserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coracle-k8s/coracle/apiserver/connections"
)

// drainTimeout bounds how long a stop waits for requests in flight.
const drainTimeout = 2 * time.Second

// frontend serves HTTPS until its context ends, and then cancels every
// request: watches and streams do not hold up a stop.
type frontend struct {
	listeners   []net.Listener
	connections *connections.Pool
	cert        tls.Certificate
	handler     http.Handler
}

func (f *frontend) serve(ctx context.Context, broken <-chan error) error {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	server := &http.Server{
		Handler: f.handler,
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{f.cert},
			ClientAuth: tls.RequestClientCert, NextProtos: []string{"h2", "http/1.1"},
		},
		BaseContext:       func(net.Listener) context.Context { return requests },
		MaxHeaderBytes:    1 << 20,
		IdleTimeout:       90 * time.Second,
		ReadHeaderTimeout: 32 * time.Second,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 1000, MaxReadFrameSize: 256 << 10},
		// Clients that hang up during the handshake are nobody's news.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	connections.Attach(server)
	var serving sync.WaitGroup
	failed := make(chan error, len(f.listeners))
	for _, l := range f.listeners {
		serving.Go(func() {
			if err := server.ServeTLS(f.connections.Listener(l), "", ""); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serving on %s: %w", l.Addr(), err)
			}
		})
	}
	defer serving.Wait()
	var err error
	select {
	case err = <-failed:
	case err = <-broken:
	case <-ctx.Done():
	}
	cancel()
	drain, done := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer done()
	if server.Shutdown(drain) != nil {
		server.Close()
	}
	return err
}
