//go:build linux

package proxy

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"

	"github.com/coracle-k8s/coracle/proxy/model"
)

// healthServer answers load balancers that ask on a Service's
// healthCheckNodePort whether this node has endpoints of it.
//
// Contract: https://kubernetes.io/docs/tasks/access-application-cluster/create-external-load-balancer/#preserving-the-client-source-ip
type healthServer struct {
	listen func(network, address string) (net.Listener, error)
	log    logr.Logger

	mu      sync.Mutex
	ready   map[types.NamespacedName]int
	servers map[types.NamespacedName]*healthPort
}

type healthPort struct {
	port   int32
	server *http.Server
	done   chan struct{}
}

func newHealthServer(listen func(network, address string) (net.Listener, error), log logr.Logger) *healthServer {
	return &healthServer{listen: listen, log: log,
		ready: map[types.NamespacedName]int{}, servers: map[types.NamespacedName]*healthPort{}}
}

// set takes changed Services; nil is one that is gone.
func (h *healthServer) set(changes map[types.NamespacedName]*model.Service) {
	for name, svc := range changes {
		var port int32
		local := 0
		if svc != nil {
			port, local = svc.HealthCheckNodePort, svc.LocalReady
		}
		h.mu.Lock()
		h.ready[name] = local
		if port == 0 {
			delete(h.ready, name)
		}
		h.mu.Unlock()
		current := h.servers[name]
		if current != nil && current.port != port {
			current.stop()
			delete(h.servers, name)
			current = nil
		}
		if port != 0 && current == nil {
			if started := h.serve(name, port); started != nil {
				h.servers[name] = started
			}
		}
	}
}

// serve opens the port; one that is taken is reported and left.
func (h *healthServer) serve(name types.NamespacedName, port int32) *healthPort {
	listener, err := h.listen("tcp", net.JoinHostPort("", strconv.Itoa(int(port))))
	if err != nil {
		h.log.Error(err, "Listening on a healthCheckNodePort", "service", name, "port", port)
		return nil
	}
	p := &healthPort{port: port, done: make(chan struct{}), server: &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { h.answer(w, name) }),
		ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
	}}
	go func() {
		defer close(p.done)
		// Always an error: that of Close.
		_ = p.server.Serve(listener)
	}()
	return p
}

func (h *healthServer) answer(w http.ResponseWriter, name types.NamespacedName) {
	h.mu.Lock()
	local := h.ready[name]
	h.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("X-Load-Balancing-Endpoint-Weight", strconv.Itoa(local))
	if local == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	body, err := json.MarshalIndent(map[string]any{
		"service":             map[string]string{"namespace": name.Namespace, "name": name.Name},
		"localEndpoints":      local,
		"serviceProxyHealthy": true,
	}, "", "\t")
	if err == nil {
		fmt.Fprintln(w, string(body))
	}
}

func (p *healthPort) stop() {
	_ = p.server.Close()
	<-p.done
}

func (h *healthServer) close() {
	for name, p := range h.servers {
		p.stop()
		delete(h.servers, name)
	}
}
