// Run starts a cluster, runs Kubernetes' conformance specs against it, removes
// it and prints what passed. With -docs it only brings the results of earlier
// runs into results.json and docs/conformance.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/coracle-k8s/coracle/test/conformance/results"
)

// suiteVersion is the release of k8s.io/kubernetes in go.mod.
const suiteVersion = "v1.37.1"

// options are the flags.
type options struct {
	coracle, build, images string
	focus, skip            string
	specsFile              string
	list                   []string // of specsFile
	procs, instance        int
	simulated, keep, docs  bool
	timeout                time.Duration
	results, page          string
}

func main() {
	var o options
	flag.StringVar(&o.coracle, "coracle", "bin/coracle", "the binary to test")
	flag.StringVar(&o.build, "build", "build/conformance", "directory of e2e.test, ginkgo and images.tar; logs and results go there, too")
	flag.StringVar(&o.focus, "focus", "", "regular expression of specs to run; empty runs all of [Conformance]")
	flag.StringVar(&o.skip, "skip", "", "regular expression of specs to leave out")
	flag.StringVar(&o.specsFile, "specs", "", "file with the specs to run, in place of -focus: the beginning of a name on each line; one that no spec has is an error")
	flag.IntVar(&o.procs, "procs", 4, "how many specs run at once where they are not [Serial]")
	flag.IntVar(&o.instance, "instance", 0, "0 to 15: runs at the same time on one machine need one each, for their addresses and directories")
	flag.BoolVar(&o.simulated, "simulated", false, "use simulated nodes: no root, no containers, and no word in the table")
	flag.BoolVar(&o.keep, "keep", false, "leave the cluster running until Ctrl-C when specs have ended")
	flag.DurationVar(&o.timeout, "timeout", 3*time.Hour, "bound of the parallel and of the serial specs, each")
	flag.BoolVar(&o.docs, "docs", false, "update results.json and docs/conformance.md from earlier runs, run nothing")
	flag.StringVar(&o.results, "results", "test/conformance/results.json", "file of the latest result of each spec")
	flag.StringVar(&o.page, "page", "docs/conformance.md", "page that -docs writes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.docs {
		return o.document()
	}
	for _, path := range []*string{&o.coracle, &o.build} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("finding %s: %w", *path, err)
		}
		*path = absolute
	}
	if o.instance < 0 || o.instance > 15 {
		return errors.New("choosing an instance: it must be 0 to 15")
	}
	if err := o.readList(); err != nil {
		return err
	}
	began := time.Now()
	found, err := o.specs(ctx)
	if missing := notRun(o.list, found); err == nil && len(missing) > 0 {
		err = fmt.Errorf("running the specs of %s: these did not run: %q", o.specsFile, missing)
	}
	if err := errors.Join(err, o.save(found)); err != nil {
		summarize(found, time.Since(began))
		return err
	}
	if failed := summarize(found, time.Since(began)); failed > 0 {
		return fmt.Errorf("%d specs failed; logs are in %s", failed, o.logs())
	}
	return nil
}

// readList makes the focus from the list of specs, if there is one.
func (o *options) readList() error {
	if o.specsFile == "" {
		return nil
	}
	file, err := os.Open(o.specsFile)
	if err != nil {
		return fmt.Errorf("opening the list of specs: %w", err)
	}
	defer file.Close()
	if o.list, err = readSpecs(file); err != nil {
		return err
	}
	o.focus = focusOn(o.list)
	return nil
}

// logs returns the directory of what the cluster and the suite write.
func (o options) logs() string { return filepath.Join(o.build, fmt.Sprintf("logs-%d", o.instance)) }

// specs runs them on a cluster of their own.
func (o options) specs(ctx context.Context) (found []results.Result, err error) {
	if err := os.RemoveAll(o.logs()); err != nil {
		return nil, fmt.Errorf("clearing logs: %w", err)
	}
	if err := os.MkdirAll(o.logs(), 0o755); err != nil {
		return nil, fmt.Errorf("making room for logs: %w", err)
	}
	c, err := o.startCluster(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.remove()) }()
	found, err = o.runSuite(ctx, c)
	if o.keep && ctx.Err() == nil {
		fmt.Printf("the cluster stays until Ctrl-C: export KUBECONFIG=%s\n", c.kubeconfig())
		<-ctx.Done()
	}
	return found, err
}

// save keeps results for -docs. Simulated nodes prove nothing about containers,
// so theirs are not kept.
func (o options) save(found []results.Result) error {
	if o.simulated || len(found) == 0 {
		return nil
	}
	dir := filepath.Join(o.build, "runs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("keeping results: %w", err)
	}
	return results.Write(filepath.Join(dir, time.Now().UTC().Format("20060102T150405.000Z")+".json"), results.Merge(nil, found))
}

// summarize prints what came of the specs and returns how many failed.
func summarize(found []results.Result, took time.Duration) int {
	failed := 0
	passed := 0
	for _, r := range results.Merge(nil, found) {
		switch r.Outcome {
		case results.Passed:
			passed++
		case results.Failed:
			failed++
			fmt.Printf("FAILED  %s\n        %s\n", r.Spec, r.Reason)
		default:
			fmt.Printf("SKIPPED %s\n        %s\n", r.Spec, r.Reason)
		}
	}
	fmt.Printf("%d passed, %d failed in %s\n", passed, failed, took.Round(time.Second))
	return failed
}

// document merges the runs since the last time, oldest first, and writes the page.
func (o options) document() error {
	runs, err := filepath.Glob(filepath.Join(o.build, "runs", "*.json"))
	if err != nil {
		return fmt.Errorf("looking for results: %w", err)
	}
	slices.Sort(runs)
	merged, err := results.Read(o.results)
	if err != nil {
		return err
	}
	for _, file := range runs {
		one, err := results.Read(file)
		if err != nil {
			return err
		}
		merged = results.Merge(merged, one)
	}
	specs, err := results.Specs()
	if err != nil {
		return err
	}
	if err := results.Write(o.results, merged); err != nil {
		return err
	}
	if err := os.WriteFile(o.page, []byte(results.Page(suiteVersion, specs, merged)), 0o644); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	for _, file := range runs {
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("removing merged results: %w", err)
		}
	}
	fmt.Printf("%s: %d runs merged\n", o.page, len(runs))
	return nil
}
