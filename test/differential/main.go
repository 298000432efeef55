// Command differential sends the same random requests to upstream's
// kube-apiserver and to Coracle's, and compares what they answer.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/test/differential/answer"
	"github.com/coracle-k8s/coracle/test/differential/plan"
	"github.com/coracle-k8s/coracle/test/differential/samples"
	"github.com/coracle-k8s/coracle/test/differential/sides"
)

type options struct {
	n, workers       int
	seed             uint64
	programs         sides.Programs
	samples, rules   string
	dir, out, replay string
}

func main() {
	o := &options{}
	flag.IntVar(&o.n, "n", 20000, "how many requests")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of everything random")
	flag.IntVar(&o.workers, "workers", 30, "sequences side by side, each in a namespace of its own")
	flag.StringVar(&o.programs.Upstream, "upstream", "build/conformance/kube-apiserver", "upstream's kube-apiserver")
	flag.StringVar(&o.programs.Etcd, "etcd", "build/conformance/programs/etcd", "etcd")
	flag.StringVar(&o.programs.Coracle, "coracle", "bin/coracle", "Coracle's binary")
	flag.StringVar(&o.samples, "samples", "test/differential/testdata/samples.yaml,apiserver/registry/all/testdata/objects.yaml,apiserver/testdata/answers.json.gz", "files of objects to begin with")
	flag.StringVar(&o.rules, "explained", "test/differential/testdata/explained.yaml", "list of differences that are there on purpose")
	flag.StringVar(&o.out, "out", "build/differential", "directory for descriptions of differences")
	flag.StringVar(&o.replay, "replay", "", "WORKER:FROM-TO: run one worker alone up to a step, and print its requests from a step on")
	flag.Parse()
	os.Exit(sides.Main(o.run))
}

func (o *options) run(ctx context.Context) error {
	explained, err := answer.ReadExplained(o.rules)
	if err != nil {
		return err
	}
	known, err := samples.Read(strings.Split(o.samples, ",")...)
	if err != nil {
		return err
	}
	if o.dir, err = os.MkdirTemp("", "differential-"); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(o.dir)
	if err := os.MkdirAll(o.out, 0o700); err != nil {
		return fmt.Errorf("making the directory of differences: %w", err)
	}
	if o.programs.Coracle, err = filepath.Abs(o.programs.Coracle); err != nil {
		return err
	}
	upstream, ours, err := sides.Start(ctx, o.dir, o.programs)
	if err != nil {
		return errors.Join(err, logs(o.dir))
	}
	defer upstream.Stop()
	defer ours.Stop()
	scheme := apis.NewScheme()
	d, err := newDecoder(scheme)
	if err != nil {
		return err
	}
	kinds, err := discovered(ctx, upstream, d, known)
	if err != nil {
		return err
	}
	if err := keepParameters(ctx, [2]*sides.Side{upstream, ours}, d); err != nil {
		return err
	}
	r := newReport(os.Stdout, o.out)
	if err := o.workersRun(ctx, [2]*sides.Side{upstream, ours}, d, kinds, explained, r); err != nil {
		return errors.Join(err, r.end(explained, false), logs(o.dir))
	}
	return r.end(explained, o.n >= 200000)
}

// workersRun runs all workers until they have sent all requests together, or the one
// that is replayed.
func (o *options) workersRun(ctx context.Context, both [2]*sides.Side, d *decoder, kinds []*plan.Kind, explained answer.Explained, r *report) error {
	only, from, to := -1, 0, 0
	var begun atomic.Int64
	more := func(int) bool { return begun.Add(1) <= int64(o.n) }
	if o.replay != "" {
		if _, err := fmt.Sscanf(o.replay, "%d:%d-%d", &only, &from, &to); err != nil {
			return fmt.Errorf("reading -replay: %w", err)
		}
		more = func(step int) bool { return step <= to }
	}
	ends := make(chan error)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	running := 0
	for n := range o.workers {
		if only >= 0 && n != only {
			continue
		}
		p := &pair{sides: both, clients: [2]*http.Client{both[0].Client(), both[1].Client()}, symbols: answer.NewSymbols(time.Now()), decoder: d}
		g := plan.New(plan.Config{Seed: o.seed, Worker: n, Workers: o.workers, Kinds: kinds, Scheme: d.scheme})
		w := &worker{number: n, pair: p, generator: g, explained: explained, report: r, history: map[string][]sent{}}
		running++
		go func() {
			p.send(ctx, g.Begin(), "begin")
			ends <- w.run(ctx, more, from, only >= 0)
			for _, c := range p.clients {
				c.CloseIdleConnections()
			}
		}()
	}
	var errs []error
	for range running {
		if err := <-ends; err != nil {
			errs = append(errs, err)
			cancel()
		}
	}
	return errors.Join(errs...)
}

// discovered asks upstream for its kinds.
func discovered(ctx context.Context, upstream *sides.Side, d *decoder, from []samples.Sample) ([]*plan.Kind, error) {
	p := &pair{sides: [2]*sides.Side{upstream, upstream}, clients: [2]*http.Client{upstream.Client(), upstream.Client()}, symbols: answer.NewSymbols(time.Now()), decoder: d}
	var groups metav1.APIGroupList
	if err := into(p.one(ctx, 0, plan.Request{Method: http.MethodGet, Path: "/apis"}, ""), &groups); err != nil {
		return nil, fmt.Errorf("asking for groups: %w", err)
	}
	paths := []string{"/api/v1"}
	for _, g := range groups.Groups {
		for _, v := range g.Versions {
			paths = append(paths, "/apis/"+v.GroupVersion)
		}
	}
	var lists []*metav1.APIResourceList
	for _, path := range paths {
		list := &metav1.APIResourceList{}
		if err := into(p.one(ctx, 0, plan.Request{Method: http.MethodGet, Path: path}, ""), list); err != nil {
			return nil, fmt.Errorf("asking for %s: %w", path, err)
		}
		lists = append(lists, list)
	}
	return plan.Kinds(lists, from)
}

// keepParameters makes a policy with parameters that lasts. Upstream stops its informer
// of ConfigMaps after the last one and does not start it again: policies that come later
// get parameters that are gone.
func keepParameters(ctx context.Context, both [2]*sides.Side, d *decoder) error {
	const (
		group  = "/apis/admissionregistration.k8s.io/v1/"
		policy = `{"metadata":{"name":"kept"},"spec":{"paramKind":{"apiVersion":"v1","kind":"ConfigMap"},"validations":[{"expression":"true"}],` +
			`"matchConstraints":{"resourceRules":[{"apiGroups":[""],"apiVersions":["v1"],"resources":["bindings"],"operations":["CREATE"],"resourceNames":["kept"]}]}}}`
		binding = `{"metadata":{"name":"kept"},"spec":{"policyName":"kept","validationActions":["Deny"],"paramRef":{"name":"kept","namespace":"default","parameterNotFoundAction":"Allow"}}}`
	)
	p := &pair{sides: both, clients: [2]*http.Client{both[0].Client(), both[1].Client()}, symbols: answer.NewSymbols(time.Now()), decoder: d}
	for path, body := range map[string]string{"validatingadmissionpolicies": policy, "validatingadmissionpolicybindings": binding} {
		for side, reply := range p.send(ctx, plan.Request{Method: http.MethodPost, Path: group + path, ContentType: "application/json", Body: body}, "kept-"+path) {
			if reply.err != nil || reply.Code != http.StatusCreated {
				return fmt.Errorf("making one of %s: server %d answered %d %s: %w", path, side, reply.Code, message(reply.Body), reply.err)
			}
		}
	}
	return wait(ctx, settlingLag)
}

// logs returns an error with the end of each log of a server that failed.
func logs(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil {
			errs = append(errs, fmt.Errorf("%s: %s", filepath.Base(file), data[max(0, len(data)-2000):]))
		}
	}
	return errors.Join(errs...)
}
