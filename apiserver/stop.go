package apiserver

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// stopPatience is how long each part of the server may take to end. All together
// take a second or two, or three when a read waits in a watch cache; a part that
// takes longer hangs, and is left.
const stopPatience = 10 * time.Second

// Stop ends every request, closes the storages and then etcd. It takes no
// longer than a few seconds, does not wait for a part that hangs, which it
// reports. Later calls wait for the first one.
func (s *Server) Stop() { s.stopOnce.Do(s.stop) }

func (s *Server) stop() {
	s.delayShutdown()
	s.cancel()
	if s.serving {
		<-s.done
	}
	s.end("requests of this process", s.config.Loopback.transport.Stop)
	s.services.Stop()
	s.end("custom resources and aggregation", s.running.Wait)
	s.end("access control", s.controlling.Wait)
	if s.audit != nil {
		s.end("the audit log", func() {
			if err := s.audit.Close(); err != nil {
				s.config.Report(err)
			}
		})
	}
	if s.dispatcher != nil {
		s.end("storages", s.dispatcher.Destroy)
	}
	if s.generic != nil {
		s.end("the generic API server", s.generic.Destroy)
	}
	if s.getter != nil {
		s.end("compaction", s.getter.Stop)
	}
	if s.etcd != nil {
		s.end("etcd", s.etcd.Stop)
	}
}

// delayShutdown goes on to serve for the configured time, while /readyz fails: load
// balancers send no new requests then.
func (s *Server) delayShutdown() {
	close(s.stopping)
	if delay := s.config.Settings.ShutdownDelay.Duration; s.serving && delay > 0 {
		select {
		case <-s.config.Clock.After(delay):
		case <-s.done:
		}
	}
}

// checkShutdown fails once the server is stopping.
func (s *Server) checkShutdown(*http.Request) error {
	select {
	case <-s.stopping:
		return errors.New("process is shutting down")
	default:
		return nil
	}
}

func (s *Server) end(what string, stop func()) {
	if !within(stopPatience, stop) {
		s.config.Report(fmt.Errorf("stopping: %s did not end within %v", what, stopPatience))
	}
}

// within runs do and reports whether it returned before the limit.
func within(limit time.Duration, do func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
