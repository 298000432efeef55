package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/test/differential/answer"
	"github.com/coracle-k8s/coracle/test/differential/plan"
	"github.com/coracle-k8s/coracle/test/differential/sides"
)

const (
	// shortTries of a read that differs, tries if other parts of a server follow the
	// object, and longTries if they take seconds for it.
	shortTries, tries, longTries = 12, 50, 300
	// pause between them.
	pause = 100 * time.Millisecond
	// lag of what follows objects within a server, such as its authorizer.
	lag = 150 * time.Millisecond
	// settlingLag of admission policies, which servers look for every second, and
	// of handlers of custom resources.
	settlingLag = 4 * time.Second
	// remembered requests about one object.
	remembered = 40
)

// sent is a request in the history of an object.
type sent struct {
	step    int
	request plan.Request
	code    int
}

// worker sends one sequence of requests.
type worker struct {
	number    int
	pair      *pair
	generator *plan.Generator
	explained answer.Explained
	report    *report
	history   map[string][]sent
	printing  bool // steps and their codes
	// refused are the UIDs of objects that one server created and the other refused, and that
	// heal removed.
	refused []string
}

// run sends requests as long as there are more; from is the first to print.
func (w *worker) run(ctx context.Context, more func(step int) bool, from int, print bool) error {
	for step := 0; more(step); step++ {
		r := w.generator.Next()
		if w.printing = print && step >= from; w.printing {
			w.report.printf("%s\n", describe(step, r))
		}
		if err := w.step(ctx, step, r); err != nil {
			return fmt.Errorf("worker %d, step %d, %s %s: %w", w.number, step, r.Method, r.Path, err)
		}
	}
	return nil
}

func (w *worker) step(ctx context.Context, step int, r plan.Request) error {
	replies, out, differences := w.exchange(ctx, r, fmt.Sprintf("%d-%d", w.number, step))
	if err := ctx.Err(); err != nil {
		return err
	}
	w.note(step, r, replies[0].Code)
	if w.printing {
		w.report.printf("  upstream %d, coracle %d\n", replies[0].Code, replies[1].Code)
	}
	w.report.count(replies[0].Code)
	explained := r.Method != http.MethodGet && replies[0].Code != replies[1].Code
	if len(differences) > 0 {
		w.report.difference(w, step, r, replies, differences)
	}
	if len(differences) > 0 || explained {
		if err := w.heal(ctx, r, replies); err != nil {
			return err
		}
	} else {
		w.generator.Learn(r, replies[0].Code, out)
	}
	if r.Settling {
		if err := wait(ctx, settlingLag); err != nil {
			return err
		}
	}
	if len(differences) > 0 {
		return nil
	}
	if !r.Lasting || replies[0].Code >= http.StatusBadRequest || r.Query.Has("dryRun") {
		return nil
	}
	if err := wait(ctx, lag); err != nil {
		return err
	}
	return w.refresh(ctx, step, r)
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// exchange sends r and compares, again if it is a read that differs.
func (w *worker) exchange(ctx context.Context, r plan.Request, id string) (replies [2]reply, out any, differences []answer.Difference) {
	most := shortTries
	switch {
	case r.Settling:
		most = longTries // upstream takes its time to remove the objects of a definition
	case r.Lasting:
		most = tries
	}
	for try := range most {
		replies, out, differences = w.once(ctx, r, fmt.Sprintf("%s-%d", id, try))
		if len(differences) == 0 || r.Method != http.MethodGet || r.Until != "" || ctx.Err() != nil {
			break
		}
		if try > 0 {
			w.report.retried()
		}
		if wait(ctx, pause) != nil {
			break
		}
	}
	return replies, out, differences
}

// once sends r and compares answers, and audit events if answers are the same.
func (w *worker) once(ctx context.Context, r plan.Request, id string) (replies [2]reply, out any, differences []answer.Difference) {
	var audited [2]*sides.Audited
	for side, s := range w.pair.sides {
		audited[side] = s.Audit(id)
	}
	replies = w.pair.send(ctx, r, id)
	out, raw := w.compare(r, replies)
	differences = w.explained.Unexplained(r.Method+" "+r.Path, r.Query.Encode(), raw)
	if len(differences) > 0 || replies[0].err != nil || ctx.Err() != nil {
		return replies, out, differences
	}
	events := w.audits(ctx, r, replies, audited)
	if slices.ContainsFunc(raw, func(d answer.Difference) bool { return d.At == "code" || d.At == "error" }) {
		events = nil // an answer of another kind, for a known reason, has other events
	}
	if len(raw) > 0 { // events have what is explained in the answer
		events = slices.DeleteFunc(events, func(d answer.Difference) bool { return strings.Contains(d.At, "/response") })
	}
	return replies, out, w.explained.Unexplained(r.Method+" "+r.Path, r.Query.Encode(), events)
}

// audits compares the audit events of one request, below /audit.
func (w *worker) audits(ctx context.Context, r plan.Request, replies [2]reply, audited [2]*sides.Audited) []answer.Difference {
	var events [2]any
	for side, a := range audited {
		some, err := a.Events(ctx)
		if err != nil {
			events[side] = err.Error()
			continue
		}
		events[side] = timeless(some, replies[side].uri, r.Path)
	}
	_, differences := w.pair.symbols.Compare(events[0], events[1], r.Generated)
	for i := range differences {
		differences[i].At = "/audit" + differences[i].At
	}
	return differences
}

// timeless drops from audit events when something happened and how long it took. A
// URI that was sent becomes what was planned.
func timeless(events []map[string]any, sent, planned string) any {
	out := make([]any, len(events))
	for i, event := range events {
		delete(event, "requestReceivedTimestamp")
		delete(event, "stageTimestamp")
		if event["requestURI"] == sent {
			event["requestURI"] = planned
		}
		if annotations, ok := event["annotations"].(map[string]any); ok {
			maps.DeleteFunc(annotations, func(key string, _ any) bool { return strings.HasPrefix(key, "apiserver.latency.k8s.io/") })
			if len(annotations) == 0 {
				delete(event, "annotations")
			}
		}
		out[i] = event
	}
	return out
}

// refresh waits until what the servers add to an object is the same.
func (w *worker) refresh(ctx context.Context, step int, r plan.Request) error {
	get, ok := w.generator.Refresh(r)
	if !ok {
		return nil
	}
	replies, out, differences := w.exchange(ctx, get, fmt.Sprintf("%d-%d-refresh", w.number, step))
	if len(differences) > 0 && ctx.Err() == nil {
		w.report.difference(w, step, get, replies, differences)
		return w.heal(ctx, r, replies)
	}
	w.generator.Learn(get, replies[0].Code, out)
	return ctx.Err()
}

func (w *worker) compare(r plan.Request, replies [2]reply) (any, []answer.Difference) {
	u, o := replies[0], replies[1]
	if u.err != nil || o.err != nil {
		if u.err != nil && o.err != nil {
			return nil, nil
		}
		return nil, []answer.Difference{{At: "error", Upstream: fmt.Sprint(u.err), Ours: fmt.Sprint(o.err)}}
	}
	if u.Code != o.Code {
		return nil, []answer.Difference{{At: "code", Upstream: fmt.Sprintf("%d %s", u.Code, message(u.Body)), Ours: fmt.Sprintf("%d %s", o.Code, message(o.Body))}}
	}
	if gone := [2]bool{expired(u.Body), expired(o.Body)}; gone[0] != gone[1] {
		return nil, []answer.Difference{{At: "expired", Upstream: fmt.Sprint(gone[0]), Ours: fmt.Sprint(gone[1])}}
	}
	if r.Until == "" {
		stripList(w.pair.symbols, u.Body, o.Body)
	} else {
		u.Body, o.Body = w.withoutRefused(u.Body), w.withoutRefused(o.Body)
	}
	out, differences := w.pair.symbols.Compare(u.Body, o.Body, r.Generated)
	if u.Type != o.Type {
		differences = append(differences, answer.Difference{At: "content type", Upstream: u.Type, Ours: o.Type})
	}
	_, warnings := w.pair.symbols.Compare(answer.Warnings(u.Warnings), answer.Warnings(o.Warnings), r.Generated)
	for _, d := range warnings {
		d.At = "warnings" + d.At
		differences = append(differences, d)
	}
	return out, differences
}

// expired reports whether the events of a watch end with the news that its version is
// too old.
func expired(body any) bool {
	events, _ := body.([]any)
	if len(events) == 0 {
		return false
	}
	event, _ := events[len(events)-1].(map[string]any)
	object, _ := event["object"].(map[string]any)
	return event["type"] == "ERROR" && object["reason"] == string(metav1.StatusReasonExpired)
}

// message returns the message of a Status, or the kind of another answer.
func message(body any) string {
	o, ok := body.(map[string]any)
	if !ok {
		return fmt.Sprintf("%.300s", body)
	}
	if o["kind"] == "Status" {
		return fmt.Sprintf("%.600s", o["message"])
	}
	return fmt.Sprint(o["kind"])
}

// stripList gives symbols to what each server understands itself: the version
// of a list, and where it goes on.
func stripList(symbols *answer.Symbols, upstream, ours any) {
	u, _ := upstream.(map[string]any)
	o, _ := ours.(map[string]any)
	_, items := u["items"]
	_, rows := u["rows"]
	if !items && !rows {
		return
	}
	a, ok1 := u["metadata"].(map[string]any)
	b, ok2 := o["metadata"].(map[string]any)
	if !ok1 || !ok2 {
		return
	}
	for key, define := range map[string]func(u, o string) string{"resourceVersion": symbols.Version, "continue": symbols.Opaque} {
		x, ok1 := a[key].(string)
		y, ok2 := b[key].(string)
		if ok1 && ok2 && x != "" && y != "" {
			sym := define(x, y)
			a[key], b[key] = answer.Raw(sym), answer.Raw(sym)
		}
	}
}

func (w *worker) note(step int, r plan.Request, code int) {
	h := w.history[r.About]
	h = append(h, sent{step, r, code})
	if len(h) > remembered {
		h = h[len(h)-remembered:]
	}
	w.history[r.About] = h
}

// heal removes an object that the servers no longer agree on, also one that a server
// gave its name.
func (w *worker) heal(ctx context.Context, r plan.Request, replies [2]reply) error {
	var names []string
	for side, reply := range replies {
		if name := nested(reply.Body, "name"); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
		if uid := nested(reply.Body, "uid"); uid != "" && reply.Code == http.StatusCreated && replies[1-side].Code >= http.StatusBadRequest {
			w.refused = append(w.refused, uid)
		}
	}
	requests := w.generator.Heal(r, names)
	for _, h := range requests {
		w.pair.send(ctx, h, "heal")
	}
	if len(requests) == 0 {
		return ctx.Err()
	}
	return wait(ctx, lag) // until the caches know that it is gone
}

// nested returns a field of an object's metadata, empty if there is none.
func nested(body any, field string) string {
	object, _ := body.(map[string]any)
	meta, _ := object["metadata"].(map[string]any)
	value, _ := meta[field].(string)
	return value
}

// withoutRefused returns the events of a watch but those of objects that only one server created.
func (w *worker) withoutRefused(events any) any {
	list, ok := events.([]any)
	if !ok || len(w.refused) == 0 {
		return events
	}
	return slices.DeleteFunc(slices.Clone(list), func(event any) bool {
		text, err := json.Marshal(event)
		return err == nil && slices.ContainsFunc(w.refused, func(uid string) bool { return bytes.Contains(text, []byte(`"uid":"`+uid+`"`)) })
	})
}
