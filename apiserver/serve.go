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
	"strings"
	"sync"
	"time"

	cliflag "k8s.io/component-base/cli/flag"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apiserver/connections"
)

// drainTimeout bounds how long a stop waits for requests in flight.
const drainTimeout = 2 * time.Second

// frontend serves HTTPS until its context ends, and then cancels every
// request: watches and streams do not hold up a stop.
type frontend struct {
	listeners   []net.Listener
	connections *connections.Pool
	tls         *tls.Config
	http2       v1alpha1.HTTP2
	handler     http.Handler
}

// tlsConfig returns the server's side of TLS: its certificate, versions and
// ciphers, and the request for a client certificate.
func tlsConfig(cert tls.Certificate, settings v1alpha1.APIServer) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequestClientCert, NextProtos: []string{"h2", "http/1.1"}}
	if settings.HTTP2.Disabled {
		config.NextProtos = []string{"http/1.1"}
	}
	var err error
	if config.MinVersion, err = cliflag.TLSVersion(settings.TLS.MinVersion); err != nil {
		return nil, fmt.Errorf("reading the lowest version of TLS: %w", err)
	}
	if len(settings.TLS.CipherSuites) > 0 {
		if config.CipherSuites, err = cliflag.TLSCipherSuites(settings.TLS.CipherSuites); err != nil {
			return nil, fmt.Errorf("reading cipher suites: %w", err)
		}
	}
	if config.CurvePreferences, err = cliflag.TLSCurvePreferences(settings.TLS.CurvePreferences); err != nil {
		return nil, fmt.Errorf("reading curve preferences: %w", err)
	}
	names := map[string]*tls.Certificate{}
	for _, named := range settings.TLS.SNICertificates {
		if err := addNames(names, named); err != nil {
			return nil, err
		}
	}
	if len(names) > 0 {
		config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return byName(names, hello.ServerName), nil
		}
	}
	return config, nil
}

// addNames adds a certificate by its names; the first of several for one name stays.
func addNames(to map[string]*tls.Certificate, named v1alpha1.NamedCertificate) error {
	pair, err := tls.LoadX509KeyPair(named.CertFile, named.KeyFile)
	if err != nil {
		return fmt.Errorf("loading the certificate for some names: %w", err)
	}
	names := named.Names
	if len(names) == 0 {
		leaf := pair.Leaf
		names = leaf.DNSNames
		for _, ip := range leaf.IPAddresses {
			names = append(names, ip.String())
		}
		if len(names) == 0 && leaf.Subject.CommonName != "" {
			names = []string{leaf.Subject.CommonName}
		}
	}
	for _, name := range names {
		if name = strings.ToLower(name); to[name] == nil {
			to[name] = &pair
		}
	}
	return nil
}

// byName returns the certificate for a name or for all of its domain, nil if there
// is none: the server then shows its own.
func byName(names map[string]*tls.Certificate, name string) *tls.Certificate {
	name = strings.ToLower(strings.TrimRight(name, "."))
	if cert := names[name]; cert != nil {
		return cert
	}
	if _, domain, ok := strings.Cut(name, "."); ok {
		return names["*."+domain]
	}
	return nil
}

func (f *frontend) serve(ctx context.Context, broken <-chan error) error {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	server := &http.Server{
		Handler:           f.handler,
		TLSConfig:         f.tls,
		BaseContext:       func(net.Listener) context.Context { return requests },
		MaxHeaderBytes:    1 << 20,
		IdleTimeout:       90 * time.Second,
		ReadHeaderTimeout: 32 * time.Second,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: int(f.http2.MaxStreamsPerConnection), MaxReadFrameSize: 256 << 10},
		// Clients that hang up during the handshake are not logged.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	if f.http2.Disabled {
		server.Protocols = new(http.Protocols)
		server.Protocols.SetHTTP1(true)
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
