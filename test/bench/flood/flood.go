// Package flood sends requests of one user without a pause, for test/bench.
package flood

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
)

// askEvery is the time from one Ask to the next.
const askEvery = 50 * time.Millisecond

// Kinds returns the kinds of floods, for Send.
func Kinds() []string { return []string{"lists", "gets", "creates", "mixed"} }

// floods returns the requests of the clients of the flooding user; i counts them.
func floods() map[string]func(f *Client, client, i int) error {
	list := func(f *Client, _, _ int) error { return f.do(http.MethodGet, "/api/v1/pods", "") }
	get := func(f *Client, client, _ int) error {
		return f.do(http.MethodGet, fmt.Sprintf("/api/v1/namespaces/default/pods/flood-%d", client), "")
	}
	create := func(f *Client, client, i int) error {
		return f.do(http.MethodPost, "/api/v1/namespaces/default/configmaps", fmt.Sprintf(`{"metadata":{"generateName":"flood-%d-%d-"}}`, client, i))
	}
	all := [...]func(f *Client, client, i int) error{list, list, get, create}
	return map[string]func(f *Client, client, i int) error{
		"lists": list, "gets": get, "creates": create,
		"mixed": func(f *Client, client, i int) error { return all[client%len(all)](f, client, i) },
	}
}

// Client is a client of a user, with a connection of its own. It reads
// answers without decoding them: it shares the machine with the server.
type Client struct {
	url, user         string
	http              *http.Client
	answers, rejected *atomic.Int64
}

// New makes a client; it counts its answers and those that say too many requests.
func New(c *rest.Config, user string, answers, rejected *atomic.Int64) (*Client, error) {
	secure, err := rest.TLSConfigFor(c)
	if err != nil {
		return nil, fmt.Errorf("reading the credentials: %w", err)
	}
	transport := &http.Transport{DialContext: (&net.Dialer{}).DialContext, TLSClientConfig: secure, ForceAttemptHTTP2: true, DisableCompression: true}
	return &Client{url: c.Host, user: user, http: &http.Client{Transport: transport}, answers: answers, rejected: rejected}, nil
}

func (f *Client) do(method, path, body string) error {
	request, err := http.NewRequest(method, f.url+path, strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	request.Header.Set("Impersonate-User", f.user)
	request.Header.Set("Accept-Encoding", "gzip")
	request.Header.Set("Content-Type", "application/json")
	response, err := f.http.Do(request)
	if err != nil {
		return fmt.Errorf("asking: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
	}
	switch {
	case err != nil:
		return fmt.Errorf("reading the answer: %w", err)
	case response.StatusCode == http.StatusTooManyRequests:
		f.rejected.Add(1)
		time.Sleep(time.Second) //nolint:forbidigo // as Retry-After asks for
	case response.StatusCode >= http.StatusBadRequest:
		return fmt.Errorf("%s: %s", response.Status, text)
	}
	f.answers.Add(1)
	return nil
}

// Ask asks for an object again and again and returns the milliseconds of each.
func (f *Client) Ask(during time.Duration) ([]float64, error) {
	var took []float64
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for begun := time.Now(); time.Since(begun) < during; <-tick.C {
		asked := time.Now()
		if err := f.do(http.MethodGet, "/api/v1/namespaces/default/pods/flood-1", ""); err != nil {
			return nil, err
		}
		took = append(took, time.Since(asked).Seconds()*1000)
	}
	return took, nil
}

// Send sends request i of the client with that number, in a flood of that kind.
func (f *Client) Send(kind string, client, i int) error { return floods()[kind](f, client, i) }

// Close ends the client's connections.
func (f *Client) Close() { f.http.CloseIdleConnections() }
