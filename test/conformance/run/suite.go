package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/coracle-k8s/coracle/test/conformance/results"
)

// interruptTimeout is how long the suite may clean up after Ctrl-C.
const interruptTimeout = 2 * time.Minute

// pass is one call of the suite: ginkgo's labels select which specs must run alone.
type pass struct {
	name, labels string
	procs        int
}

// runSuite runs parallel specs, then serial ones.
func (o options) runSuite(ctx context.Context, c *testCluster) ([]results.Result, error) {
	kubectl := filepath.Join(o.logs(), "kubectl")
	script := fmt.Sprintf("#!/bin/sh\nexec '%s' kubectl \"$@\"\n", o.coracle)
	if err := os.WriteFile(kubectl, []byte(script), 0o755); err != nil {
		return nil, fmt.Errorf("making a kubectl: %w", err)
	}
	var all []results.Result
	for _, p := range []pass{{"parallel", "Conformance && !Serial", o.procs}, {"serial", "Conformance && Serial", 1}} {
		found, err := o.runPass(ctx, p, c.kubeconfig(), kubectl)
		all = append(all, found...)
		if err != nil {
			return all, fmt.Errorf("running the %s specs: %w; see %s.log in %s", p.name, err, p.name, o.logs())
		}
	}
	return all, nil
}

func (o options) runPass(ctx context.Context, p pass, kubeconfig, kubectl string) ([]results.Result, error) {
	report := p.name + ".json"
	args := []string{"run", "-v", "--no-color", "--silence-skips", fmt.Sprintf("--procs=%d", p.procs), "--timeout=" + o.timeout.String(),
		"--label-filter=" + p.labels, "--focus=" + o.focus, "--json-report=" + report, "--output-dir=" + o.logs()}
	if o.skip != "" {
		args = append(args, "--skip="+o.skip)
	}
	args = append(args, filepath.Join(o.build, "e2e.test"), "--", "--provider=skeleton", "--kubeconfig="+kubeconfig, "--kubectl-path="+kubectl,
		"--num-nodes=2", "--disable-log-dump", "--e2e-output-dir="+o.logs())
	suite := exec.CommandContext(ctx, filepath.Join(o.build, "ginkgo"), args...)
	suite.Dir = o.logs()
	// Ctrl-C comes by Cancel alone, and to each of ginkgo's processes: a second
	// one would stop the cleaning up.
	suite.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	suite.Cancel = func() error { return syscall.Kill(-suite.Process.Pid, syscall.SIGINT) }
	suite.WaitDelay = interruptTimeout
	log, err := os.Create(filepath.Join(o.logs(), p.name+".log"))
	if err != nil {
		return nil, fmt.Errorf("writing the suite's log: %w", err)
	}
	defer log.Close()
	out, in := io.Pipe()
	suite.Stdout, suite.Stderr = in, in
	progress := make(chan struct{})
	go func() {
		defer close(progress)
		showProgress(os.Stdout, p.name, io.TeeReader(out, log))
	}()
	ran := suite.Run()
	in.Close()
	<-progress
	written, err := os.Open(filepath.Join(o.logs(), report))
	if err != nil {
		return nil, errors.Join(ran, fmt.Errorf("reading the suite's report: %w", err))
	}
	defer written.Close()
	// That specs failed is in the report, and no error of the pass.
	found, err := results.FromReport(written)
	return found, errors.Join(err, ctx.Err())
}

// showProgress prints a line for every spec that ended. Ginkgo begins such a
// line with a bullet and puts [FAILED] or the like behind it.
func showProgress(out io.Writer, name string, log io.Reader) {
	total, done := "?", 0
	for lines := bufio.NewReader(log); ; {
		line, err := lines.ReadString('\n')
		if _, after, found := strings.Cut(line, "Will run "); found && total == "?" {
			total, _, _ = strings.Cut(after, " ")
		}
		if status, ended := strings.CutPrefix(line, "•"); ended {
			done++
			fmt.Fprintf(out, "%s %d of %s %s\n", name, done, total, strings.TrimSpace(status))
		}
		if err != nil {
			return
		}
	}
}
