package sides

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// auditPolicy has each level, and what a rule may leave out.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- {level: None, userGroups: [unaudited]}
- {level: Metadata, resources: [{group: "", resources: [secrets, serviceaccounts/token]}, {group: authentication.k8s.io}]}
- {level: Request, verbs: [get, list, watch, delete, deletecollection]}
- {level: RequestResponse, omitManagedFields: true, omitStages: [RequestReceived], resources: [{group: apps}, {group: batch}]}
- {level: RequestResponse}
`

// auditTimeout bounds the time between an answer and its last event.
const auditTimeout = 20 * time.Second

// audit holds those requests of one server whose last event has not come, by ID.
type audit struct {
	mu      sync.Mutex
	pending map[string]*Audited
}

// Audited is a request whose audit events are kept.
type Audited struct {
	id     string
	events []map[string]any
	done   chan struct{} // closed after the last one
}

// Audit lets the events of a request be kept that will be sent with an ID, which
// must not be used twice.
func (s *Side) Audit(id string) *Audited {
	s.audit.mu.Lock()
	defer s.audit.mu.Unlock()
	a := &Audited{id: id, done: make(chan struct{})}
	s.audit.pending[id] = a
	return a
}

// Events waits for the last event of the request, at most 20 seconds, and returns all.
func (a *Audited) Events(ctx context.Context) ([]map[string]any, error) {
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	select {
	case <-a.done:
		return a.events, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the last audit event of %s: %w", a.id, ctx.Err())
	}
}

// read takes events, one a line, until the server ends; other lines go to log.
func (a *audit) read(events io.Reader, log io.Writer) {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		var event map[string]any
		if json.Unmarshal(line, &event) == nil && event["kind"] == "Event" {
			a.take(event)
		} else {
			_, _ = log.Write(line)
		}
		if err != nil {
			return
		}
	}
}

func (a *audit) take(event map[string]any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	id, _ := event["auditID"].(string)
	of := a.pending[id]
	if of == nil {
		return
	}
	of.events = append(of.events, event)
	if event["stage"] == "ResponseComplete" || event["stage"] == "Panic" {
		delete(a.pending, id)
		close(of.done)
	}
}
