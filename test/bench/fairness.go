package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

const (
	// floodClients are those of one user, floodPods what a list has.
	floodClients, floodPods = 80, 2000
	// floodTime is the time for which each kind of flood lasts, askEvery how often another
	// user asks for an object meanwhile.
	floodTime, askEvery = 10 * time.Second, 50 * time.Millisecond
)

// floods returns the requests that the clients of the flooding user send
// without a pause; i counts them.
func floods() map[string]func(f *flooder, client, i int) error {
	list := func(f *flooder, _, _ int) error { return f.do(http.MethodGet, "/api/v1/pods", "") }
	get := func(f *flooder, client, _ int) error {
		return f.do(http.MethodGet, fmt.Sprintf("/api/v1/namespaces/default/pods/flood-%d", client), "")
	}
	create := func(f *flooder, client, i int) error {
		return f.do(http.MethodPost, "/api/v1/namespaces/default/configmaps", fmt.Sprintf(`{"metadata":{"generateName":"flood-%d-%d-"}}`, client, i))
	}
	all := [...]func(f *flooder, client, i int) error{list, list, get, create}
	return map[string]func(f *flooder, client, i int) error{
		"lists": list, "gets": get, "creates": create,
		"mixed": func(f *flooder, client, i int) error { return all[client%len(all)](f, client, i) },
	}
}

// flooder is one client of a user, with a connection of its own. It reads
// answers without decoding them: it shares the machine with the server.
type flooder struct {
	url, user         string
	http              *http.Client
	answers, rejected *atomic.Int64
}

func newFlooder(c *rest.Config, user string, answers, rejected *atomic.Int64) (*flooder, error) {
	secure, err := rest.TLSConfigFor(c)
	if err != nil {
		return nil, fmt.Errorf("reading the credentials: %w", err)
	}
	transport := &http.Transport{DialContext: (&net.Dialer{}).DialContext, TLSClientConfig: secure, ForceAttemptHTTP2: true, DisableCompression: true}
	return &flooder{url: c.Host, user: user, http: &http.Client{Transport: transport}, answers: answers, rejected: rejected}, nil
}

func (f *flooder) do(method, path, body string) error {
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
		time.Sleep(time.Second) // as Retry-After asks for
	case response.StatusCode >= http.StatusBadRequest:
		return fmt.Errorf("%s: %s", response.Status, text)
	}
	f.answers.Add(1)
	return nil
}

// benchFairness measures how long another user waits for an object while one
// user's clients ask for more than the server can do.
func benchFairness(ctx context.Context, b *bench) error {
	t, err := b.up(ctx, 0)
	if err != nil {
		return err
	}
	defer t.stop()
	if err := t.prepareFlood(ctx); err != nil {
		return err
	}
	var ignored atomic.Int64
	asker, err := newFlooder(t.rest, "quiet", &ignored, &ignored)
	if err != nil {
		return err
	}
	if _, err := asker.ask(time.Second); err != nil { // connects, and starts what starts on demand
		return err
	}
	quiet, err := asker.ask(floodTime / 2)
	if err != nil {
		return err
	}
	b.report("get of a user, quiet", "ms", none, quiet...)
	for _, kind := range []string{"lists", "gets", "creates", "mixed"} {
		if err := b.flood(ctx, t, kind, asker); err != nil {
			return fmt.Errorf("measuring a flood of %s: %w", kind, err)
		}
	}
	return nil
}

// ask asks for an object again and again and returns the milliseconds of each.
func (f *flooder) ask(during time.Duration) ([]float64, error) {
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

func (b *bench) flood(ctx context.Context, t *target, kind string, asker *flooder) error {
	var answers, rejected atomic.Int64
	do := floods()[kind]
	group, ctx := errgroup.WithContext(ctx)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for n := range floodClients {
		f, err := newFlooder(t.rest, "noisy", &answers, &rejected)
		if err != nil {
			return err
		}
		group.Go(func() error {
			defer f.http.CloseIdleConnections()
			for i := 0; ctx.Err() == nil; i++ {
				if err := do(f, n, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if _, err := asker.ask(floodTime / 5); err != nil { // until the flood is at its height
		return err
	}
	before := answers.Load()
	took, err := asker.ask(floodTime)
	if err != nil {
		return err
	}
	done := answers.Load() - before
	cancel()
	if err := group.Wait(); err != nil {
		return err
	}
	slices.Sort(took)
	b.report("get of a user beside a flood of "+kind, "ms", none, took...)
	b.report("99th percentile beside a flood of "+kind, "ms", none, took[len(took)*99/100])
	b.report("flood of "+kind, "requests/s", none, float64(done)/floodTime.Seconds())
	b.report("flood of "+kind+", rejected", "requests", none, float64(rejected.Load()))
	return nil
}

// prepareFlood makes the users and the pods, which no node runs.
func (t *target) prepareFlood(ctx context.Context) error {
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "flood"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "noisy"}, {Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "quiet"}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
	}
	if err := t.client.Create(ctx, binding); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making the users: %w", err)
	}
	_, err := side(floodPods, clients, func(i int) error {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("flood-%d", i)}}
		pod.Spec.SchedulerName = "none"
		pod.Spec.Containers = []corev1.Container{{Name: "c", Image: "i", Env: []corev1.EnvVar{{Name: "A", Value: "B"}}}}
		if err := t.client.Create(ctx, pod); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("making the pods: %w", err)
	}
	return nil
}
