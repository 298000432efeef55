package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// objects of a request scenario, and the clients that ask at once.
	objects, clients = 2000, 16
	// lists of a thousand objects.
	lists = 40
	// watchers of the fan-out, and the changes each sees.
	watchers, changes = 200, 500
)

// benchRequests measures requests per second of 16 clients on ConfigMaps,
// through TLS. Writes are on disk when they are answered.
func benchRequests(ctx context.Context, b *bench) error {
	t, err := b.up(ctx, 0)
	if err != nil {
		return err
	}
	defer t.stop()
	api := t.client
	object := func(i int) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("bench-%d", i)}, Data: map[string]string{"k": "v"}}
	}
	patch := func(i int) client.Patch {
		return client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"data":{"k":"%d"}}`, i))
	}
	for _, verb := range []struct {
		name string
		do   func(int) error
	}{
		{"create", func(i int) error { return api.Create(ctx, object(i)) }},
		{"get", func(i int) error { return api.Get(ctx, client.ObjectKeyFromObject(object(i)), &corev1.ConfigMap{}) }},
		{"patch", func(i int) error { return api.Patch(ctx, object(i), patch(i)) }},
		{"apply", func(i int) error {
			return api.Apply(ctx, corev1apply.ConfigMap(object(i).Name, "default").WithData(map[string]string{"applied": fmt.Sprint(i)}), client.FieldOwner("bench"))
		}},
		{"delete", func(i int) error { return api.Delete(ctx, object(i)) }},
	} {
		if verb.name == "delete" {
			if err := b.lists(ctx, t); err != nil {
				return err
			}
		}
		took, err := side(objects, clients, verb.do)
		if err != nil {
			return fmt.Errorf("measuring %s: %w", verb.name, err)
		}
		b.report(verb.name, "requests/s", none, objects/took.Seconds())
	}
	return nil
}

// lists measures lists of a thousand objects.
func (b *bench) lists(ctx context.Context, t *target) error {
	took, err := side(lists, 2, func(int) error {
		return t.client.List(ctx, &corev1.ConfigMapList{}, client.InNamespace("default"), client.Limit(1000))
	})
	if err != nil {
		return fmt.Errorf("measuring list: %w", err)
	}
	b.report("list of 1,000", "requests/s", none, lists/took.Seconds())
	return nil
}

// side runs do for 0 to n-1 by some workers side by side.
func side(n, workers int, do func(int) error) (time.Duration, error) {
	start := time.Now()
	var group errgroup.Group
	group.SetLimit(workers)
	for i := range n {
		group.Go(func() error { return do(i) })
	}
	return time.Since(start), group.Wait()
}

// benchWatch measures how many events a second reach 200 watchers when one
// client changes an object as fast as it can. The watchers count lines and
// decode nothing: they share the machine with the server.
func benchWatch(ctx context.Context, b *bench) error {
	t, err := b.up(ctx, 0)
	if err != nil {
		return err
	}
	defer t.stop()
	config := *t.rest
	config.ContentType, config.AcceptContentTypes = "application/json", "application/json"
	api, err := kubernetes.NewForConfig(&config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	target, err := api.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "watched"}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating what is watched: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var seen sync.WaitGroup
	for range watchers {
		stream, err := api.CoreV1().RESTClient().Get().Namespace("default").Resource("configmaps").
			VersionedParams(&metav1.ListOptions{Watch: true, ResourceVersion: target.ResourceVersion, FieldSelector: "metadata.name=watched"}, metav1.ParameterCodec).
			Stream(ctx)
		if err != nil {
			return fmt.Errorf("watching: %w", err)
		}
		defer stream.Close()
		seen.Go(func() {
			lines := bufio.NewReaderSize(stream, 64<<10)
			for range changes {
				if _, err := lines.ReadSlice('\n'); err != nil {
					return
				}
			}
		})
	}
	start := time.Now()
	for i := range changes {
		body, _ := json.Marshal(map[string]any{"data": map[string]string{"i": fmt.Sprint(i)}}) // cannot fail
		if _, err := api.CoreV1().ConfigMaps("default").Patch(ctx, "watched", types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
			return fmt.Errorf("changing what is watched: %w", err)
		}
	}
	seen.Wait()
	b.report("watch fan-out to 200", "events/s", none, watchers*changes/time.Since(start).Seconds())
	return nil
}
