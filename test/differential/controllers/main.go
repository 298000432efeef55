// The program controllers plays the same scripts of a user on upstream's
// kube-controller-manager and on Coracle's controllers, and compares all objects
// whenever both have come to rest. Pods run nowhere: the program binds them and
// writes their status by rules that depend neither on names nor on times.
//
//	go run ./test/differential/controllers -programs DIR -n 200 -seed 1
//
// A script follows from its seed; -n 1 -seed S plays one again. Intended
// differences are in intended.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/coracle-k8s/coracle/test/differential/sides"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var (
	count    = flag.Int("n", 200, "how many scripts")
	seed     = flag.Uint64("seed", 1, "the seed of the first one; the others follow")
	parallel = flag.Int("parallel", 4, "how many at once")
	dir      = flag.String("programs", "", "directory of etcd, kube-apiserver and kube-controller-manager")
	coracle  = flag.String("coracle", "bin/coracle", "Coracle's binary")
	verbose  = flag.Bool("verbose", false, "print every step")
)

const (
	// restFor is the time for which nothing of a script may change on a side at rest.
	restFor = 1200 * time.Millisecond
	// patience bounds how long two sides may differ.
	patience = 2 * time.Minute
)

// nodeNames end the names of a script's two nodes.
func nodeNames() []string { return []string{"-a", "-b"} }

func main() {
	flag.Parse()
	os.Exit(sides.Main(run))
}

func run(ctx context.Context) error {
	data, err := os.MkdirTemp("", "differential")
	if err != nil {
		return err
	}
	binary, err := filepath.Abs(*coracle)
	if err != nil {
		return err
	}
	p := programs{etcd: filepath.Join(*dir, "etcd"), apiserver: filepath.Join(*dir, "kube-apiserver"), controllers: filepath.Join(*dir, "kube-controller-manager"), coracle: binary}
	fmt.Println("data and logs in", data)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var worlds []*world
	for _, start := range []func(context.Context, string, programs) (*side, error){startUpstream, startCoracle} {
		s, err := start(ctx, data, p)
		defer s.stop()
		if err != nil {
			return err
		}
		w, err := newWorld(ctx, s)
		if err != nil {
			return err
		}
		(&player{world: w}).run(ctx)
		worlds = append(worlds, w)
	}
	return playAll(ctx, worlds)
}

func playAll(ctx context.Context, worlds []*world) error {
	var mu sync.Mutex
	var equal, steps int
	var different []uint64
	queue := make(chan uint64)
	var running sync.WaitGroup
	for range *parallel {
		running.Go(func() {
			for s := range queue {
				n, report := playOne(ctx, worlds, s)
				mu.Lock()
				steps += n
				if report == "" {
					equal++
				} else {
					different = append(different, s)
					fmt.Printf("== seed %d: %s\n", s, report)
				}
				mu.Unlock()
			}
		})
	}
	began := time.Now()
	for i := range *count {
		select {
		case queue <- *seed + uint64(i):
		case <-ctx.Done():
		}
	}
	close(queue)
	running.Wait()
	fmt.Printf("%d scripts of %d steps equal, %d differ %v, in %v\n", equal, steps, len(different), different, time.Since(began).Round(time.Second))
	if len(different) > 0 {
		return errors.New("the sides differ")
	}
	return ctx.Err()
}

// playOne plays one script on both sides. It returns how many steps were taken and
// the first difference.
func playOne(ctx context.Context, worlds []*world, seed uint64) (int, string) {
	users := make([]*user, len(worlds))
	for i, w := range worlds {
		users[i] = &user{w, fmt.Sprintf("s%d", seed)}
		if err := users[i].prepare(ctx); err != nil {
			return 0, fmt.Sprintf("preparing %s: %v", w.name, err)
		}
	}
	if diff := settle(ctx, users); diff != nil {
		return 0, fmt.Sprintf("before the first step: %s", lines(diff))
	}
	var done []string
	for i, s := range newScript(seed) {
		done = append(done, s.text)
		if *verbose {
			fmt.Printf("seed %d: %s\n", seed, s.text)
		}
		answers := make([]string, len(users))
		for i, u := range users {
			if err := s.do(ctx, u); err != nil {
				answers[i] = string(apierrors.ReasonForError(err)) + " " + err.Error()
			}
		}
		if (answers[0] == "") != (answers[1] == "") {
			return i, fmt.Sprintf("step %q is answered %q by upstream, %q by coracle, after%s", s.text, answers[0], answers[1], lines(done))
		}
		if diff := settle(ctx, users); diff != nil {
			return i, fmt.Sprintf("after%s\ndiffer:%s", lines(done), lines(diff))
		}
	}
	return len(done), ""
}

func lines(list []string) (out string) {
	for _, l := range list {
		out += "\n    " + l
	}
	return out
}

// prepare makes the script's namespace and nodes.
func (u *user) prepare(ctx context.Context) error {
	labels := map[string]any{scriptLabel: u.namespace}
	for _, suffix := range nodeNames() {
		node := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{"name": u.namespace + suffix, "labels": labels}}}
		if _, err := u.of(resource("nodes")).Create(ctx, node, metav1.CreateOptions{}); err != nil {
			return err
		}
		ready := `{"status":{"capacity":{"cpu":"64","memory":"64Gi","pods":"500"},"allocatable":{"cpu":"64","memory":"64Gi","pods":"500"},"conditions":[{"type":"Ready","status":"True","reason":"KubeletReady","lastHeartbeatTime":"` + time.Now().UTC().Format(time.RFC3339) + `"}]}}`
		if err := patch(object{resource("nodes"), u.namespace + suffix}, ready, "status").do(ctx, u); err != nil {
			return err
		}
	}
	ns := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": u.namespace, "labels": labels}}}
	_, err := u.of(resource("namespaces")).Create(ctx, ns, metav1.CreateOptions{})
	return err
}

// settle waits until both sides are at rest and equal, and returns what differs
// if they are not in time.
func settle(ctx context.Context, users []*user) (diff []string) {
	end := time.Now().Add(patience)
	for {
		quiet := true
		for _, u := range users {
			quiet = quiet && u.quiet(u.namespace) >= restFor
		}
		late := time.Now().After(end)
		if quiet || late {
			if diff = compare(draw(users[0].objects(users[0].namespace)), draw(users[1].objects(users[1].namespace))); len(diff) == 0 {
				return nil
			}
			if late {
				return diff
			}
		}
		select {
		case <-ctx.Done():
			return []string{ctx.Err().Error()}
		case <-time.After(300 * time.Millisecond):
		}
	}
}
