package main

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/coracle-k8s/coracle/test/differential/answer"
	"github.com/coracle-k8s/coracle/test/differential/plan"
)

const (
	// tries of a read that differs: what other parts of a server do about an
	// object, such as conditions of definitions, takes its time.
	tries      = 50
	shortTries = 12
	// pause between them.
	pause = 100 * time.Millisecond
	// lag of what follows objects within a server, such as its authorizer.
	lag = 150 * time.Millisecond
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
}

// run sends requests from the first one up to last; from is the first to print.
func (w *worker) run(ctx context.Context, last, from int, print bool) error {
	for step := range last {
		r := w.generator.Next()
		if print && step >= from {
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
	w.report.count(replies[0].Code)
	if len(differences) > 0 {
		w.report.difference(w, step, r, replies, differences)
		return w.heal(ctx, r)
	}
	w.generator.Learn(r, replies[0].Code, out)
	if !r.Lasting || replies[0].Code >= http.StatusBadRequest || r.Query.Has("dryRun") {
		return nil
	}
	time.Sleep(lag)
	return w.refresh(ctx, step, r)
}

// exchange sends r and compares, again if it is a read that differs.
func (w *worker) exchange(ctx context.Context, r plan.Request, id string) (replies [2]reply, out any, differences []answer.Difference) {
	for try := range tries {
		replies = w.pair.send(ctx, r, id)
		out, differences = w.compare(r, replies)
		differences = w.explained.Unexplained(r.Method+" "+r.Path, differences)
		if try >= shortTries && !r.Lasting {
			break
		}
		if len(differences) == 0 || r.Method != http.MethodGet || r.Until != "" || ctx.Err() != nil {
			break
		}
		if try > 0 {
			w.report.retried()
		}
		time.Sleep(pause)
	}
	return replies, out, differences
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
		return w.heal(ctx, r)
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
	if r.Until == "" {
		stripList(w.pair.symbols, u.Body, o.Body)
	}
	out, differences := w.pair.symbols.Compare(u.Body, o.Body, r.Generated)
	if u.Type != o.Type {
		differences = append(differences, answer.Difference{At: "content type", Upstream: u.Type, Ours: o.Type})
	}
	if !reflect.DeepEqual(u.Warnings, o.Warnings) {
		differences = append(differences, answer.Difference{At: "warnings", Upstream: fmt.Sprintf("%q", u.Warnings), Ours: fmt.Sprintf("%q", o.Warnings)})
	}
	return out, differences
}

// message is that of a Status, or the kind of another answer.
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
	h := append(w.history[r.About], sent{step, r, code})
	if len(h) > remembered {
		h = h[len(h)-remembered:]
	}
	w.history[r.About] = h
}

// heal removes an object that the servers no longer agree on.
func (w *worker) heal(ctx context.Context, r plan.Request) error {
	for _, h := range w.generator.Heal(r) {
		w.pair.send(ctx, h, "heal")
	}
	return ctx.Err()
}
