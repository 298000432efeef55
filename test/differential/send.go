package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"

	"github.com/coracle-k8s/coracle/test/differential/answer"
	"github.com/coracle-k8s/coracle/test/differential/plan"
	"github.com/coracle-k8s/coracle/test/differential/sides"
)

// reply holds what one server answered.
type reply struct {
	Code     int
	Type     string
	Warnings []string
	// Body is decoded JSON, a list of a watch's events, or text.
	Body any
	err  error
}

// pair sends requests to both servers.
type pair struct {
	sides   [2]*sides.Side
	clients [2]*http.Client
	symbols *answer.Symbols
}

// send sends r to both at once.
func (p *pair) send(ctx context.Context, r plan.Request, id string) (replies [2]reply) {
	var done sync.WaitGroup
	for side := range p.sides {
		done.Go(func() { replies[side] = p.one(ctx, side, r, id) })
	}
	done.Wait()
	return replies
}

func (p *pair) one(ctx context.Context, side int, r plan.Request, id string) reply {
	url := p.sides[side].URL + p.symbols.For(side, r.Path)
	if query := r.Query.Encode(); query != "" {
		url += "?" + p.symbols.For(side, query)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, url, strings.NewReader(p.symbols.For(side, r.Body)))
	if err != nil {
		return reply{err: err}
	}
	for name, value := range map[string]string{"Content-Type": r.ContentType, "Accept": r.Accept, "User-Agent": r.Agent, "Impersonate-User": r.User, "Audit-ID": id} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	for _, group := range r.Groups {
		req.Header.Add("Impersonate-Group", group)
	}
	response, err := p.clients[side].Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer response.Body.Close()
	out := reply{Code: response.StatusCode, Type: response.Header.Get("Content-Type"), Warnings: response.Header.Values("Warning")}
	if r.Until != "" && out.Code == http.StatusOK {
		out.Body, out.err = events(response.Body, p.symbols.For(side, r.Until))
		return out
	}
	data, err := io.ReadAll(response.Body)
	out.Body, out.err = decoded(out.Type, data), err
	return out
}

func decoded(contentType string, data []byte) any {
	var v any
	switch {
	case strings.HasPrefix(contentType, "application/json") && json.Unmarshal(data, &v) == nil:
		return v
	case strings.HasPrefix(contentType, "application/yaml"):
		if asJSON, err := yaml.YAMLToJSON(data); err == nil && json.Unmarshal(asJSON, &v) == nil {
			return v
		}
	}
	return string(data)
}

// events reads those of a watch until the one with version.
func events(stream io.Reader, version string) (any, error) {
	var out []any
	decoder := json.NewDecoder(stream)
	for {
		var event map[string]any
		if err := decoder.Decode(&event); err != nil {
			return out, fmt.Errorf("reading a watch after %d events: %w", len(out), err)
		}
		if event["type"] == "BOOKMARK" {
			continue // they come by time
		}
		out = append(out, event)
		data, err := json.Marshal(event)
		if err != nil {
			return out, err
		}
		if event["type"] == "ERROR" || bytes.Contains(data, []byte(`"resourceVersion":"`+version+`"`)) {
			return out, nil
		}
	}
}

// into fills v with a JSON answer.
func into(r reply, v any) error {
	if r.err != nil {
		return r.err
	}
	data, err := json.Marshal(r.Body)
	if err != nil {
		return err
	}
	if r.Code != http.StatusOK {
		return fmt.Errorf("%d: %s", r.Code, data)
	}
	return json.Unmarshal(data, v)
}
