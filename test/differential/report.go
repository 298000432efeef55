package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coracle-k8s/coracle/test/differential/answer"
	"github.com/coracle-k8s/coracle/test/differential/plan"
)

// report counts requests, and writes down what differs.
type report struct {
	mu       sync.Mutex
	out      io.Writer
	dir      string
	began    time.Time
	requests int
	retries  int
	codes    map[int]int
	decision int            // differences of codes
	groups   map[string]int // of alike differences
	first    map[string]string
}

func newReport(out io.Writer, dir string) *report {
	return &report{out: out, dir: dir, began: time.Now(), codes: map[int]int{}, groups: map[string]int{}, first: map[string]string{}}
}

func (p *report) printf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, format, args...)
}

func (p *report) count(code int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	p.codes[code]++
	if p.requests%5000 == 0 {
		fmt.Fprintf(p.out, "%d requests, %.0f a second, %d unexplained\n", p.requests, float64(p.requests)/time.Since(p.began).Seconds(), p.unexplained())
	}
}

func (p *report) retried() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retries++
}

func (p *report) unexplained() (n int) {
	for _, count := range p.groups {
		n += count
	}
	return n
}

var changing = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}|\d+|"[^"]*"|\bw\d\b`)

// difference writes down one request whose answers differ.
func (p *report) difference(w *worker, step int, r plan.Request, replies [2]reply, differences []answer.Difference) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := differences[0]
	if d.At == "code" {
		p.decision++
	}
	kind, _, _ := strings.Cut(r.About, "/w")
	group := fmt.Sprintf("%s %s %s: %.160s | %.160s", r.Method, filepath.Dir(kind), changing.ReplaceAllString(d.At, "N"), changing.ReplaceAllString(d.Upstream, "N"), changing.ReplaceAllString(d.Ours, "N"))
	p.groups[group]++
	if p.groups[group] > 3 {
		return
	}
	file := filepath.Join(p.dir, fmt.Sprintf("difference-%d-%d.txt", w.number, step))
	if p.first[group] == "" {
		p.first[group] = file
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nreplay: -replay %d:%d-%d\n\n", describe(step, r), w.number, step, step)
	for _, d := range differences {
		fmt.Fprintf(&b, "at %s\n  upstream %s\n  coracle  %s\n", d.At, d.Upstream, d.Ours)
	}
	for side, name := range []string{"upstream", "coracle"} {
		data, _ := json.MarshalIndent(replies[side], "", " ") // decoded from JSON
		fmt.Fprintf(&b, "\n%s answered %s\n", name, data)
	}
	for _, about := range slices.Compact([]string{"", r.About}) { // "" has admission policies
		fmt.Fprintf(&b, "\nhistory of %q:\n", about)
		for _, s := range w.history[about] {
			fmt.Fprintf(&b, "-> %d %s\n", s.code, describe(s.step, s.request))
		}
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		fmt.Fprintln(p.out, err)
	}
}

func describe(step int, r plan.Request) string {
	data, _ := json.Marshal(r) // strings only
	return fmt.Sprintf("step %d: %s", step, data)
}

// end prints the figures, and fails if anything is unexplained.
func (p *report) end(explained answer.Explained, stale bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	spent := time.Since(p.began)
	fmt.Fprintf(p.out, "%d requests in %s, %.0f a second; %d reads repeated\n", p.requests, spent.Round(time.Second), float64(p.requests)/spent.Seconds(), p.retries)
	for _, code := range slices.Sorted(maps.Keys(p.codes)) {
		fmt.Fprintf(p.out, "  %d: %d\n", code, p.codes[code])
	}
	for rule, n := range explained.Used() {
		if n > 0 {
			fmt.Fprintf(p.out, "explained %d times: %s\n", n, rule.Reason)
		} else if stale {
			fmt.Fprintf(p.out, "STALE, explained nothing: %s\n", rule.Reason)
		}
	}
	groups := slices.SortedFunc(maps.Keys(p.groups), func(a, b string) int { return p.groups[b] - p.groups[a] })
	for _, g := range groups {
		fmt.Fprintf(p.out, "%5d  %s\n       %s\n", p.groups[g], g, p.first[g])
	}
	if n := p.unexplained(); n > 0 {
		return fmt.Errorf("%d of %d requests have unexplained differences, %d of them in the status code: see %s", n, p.requests, p.decision, p.dir)
	}
	return nil
}
