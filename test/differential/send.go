package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

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
	uri  string // path and query as they were sent
	err  error
}

// pair sends requests to both servers.
type pair struct {
	sides   [2]*sides.Side
	clients [2]*http.Client
	symbols *answer.Symbols
	decoder *decoder
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
	uri := p.symbols.For(side, r.Path)
	if query := r.Query.Encode(); query != "" {
		uri += "?" + p.symbols.For(side, query)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, p.sides[side].URL+uri, strings.NewReader(p.symbols.For(side, r.Body)))
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
	out := reply{Code: response.StatusCode, Type: response.Header.Get("Content-Type"), Warnings: response.Header.Values("Warning"), uri: uri}
	if r.Until != "" && out.Code == http.StatusOK {
		out.Body, out.err = p.decoder.events(out.Type, response.Body, p.symbols.For(side, r.Until))
		return out
	}
	data, err := io.ReadAll(response.Body)
	out.Body, out.err = p.decoder.body(out.Type, data), err
	return out
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
