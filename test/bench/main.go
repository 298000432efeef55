// Command bench measures what the project promises about speed and size, and prints a
// JSON line for each figure:
//
//	{"name":"ready","value":0.07,"unit":"s","goal":0.15,"min":0.06,"max":0.09,"runs":5}
//
// value is the median of its runs. Readers compare times with goals: nothing fails here because a
// machine is slow. A scenario that cannot run where it was started prints {"name":...,"error":...}.
//
// Start, idle and workload scenarios run the built binary as a process of its own and
// watch it through its kubeconfig, as kubectl would. The scheduler's runs on cluster.Start
// with the client of the same process, so that making pods costs as little as it can.
//
//	go run ./test/bench -run 'start|idle'
//	go run ./test/bench -run scale -nodes 1000 -pods 10000
//	go run ./test/bench -run deployment -library -cpuprofile /tmp/cpu
//	go run ./test/bench -with bin/coracle.old -rounds 3
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// scenario measures some figures.
type scenario struct {
	name string
	run  func(context.Context, *bench) error
	// large ones take many minutes and gigabytes: they run only if -run is given.
	large bool
}

func scenarios() []scenario {
	return []scenario{
		{name: "start", run: benchStart},
		{name: "idle", run: benchIdle},
		{name: "requests", run: benchRequests},
		{name: "watch", run: benchWatch},
		{name: "fairness", run: benchFairness},
		{name: "schedule", run: benchSchedule},
		{name: "deployment", run: benchDeployment},
		{name: "job", run: benchJob},
		{name: "namespace", run: benchNamespace},
		{name: "many-namespaces", run: benchManyNamespaces},
		{name: "endpoints", run: benchEndpoints},
		{name: "definitions", run: benchDefinitions},
		{name: "real", run: benchReal},
		{name: "scale", run: benchScale, large: true},
	}
}

func names() string {
	var all []string
	for _, s := range scenarios() {
		all = append(all, s.name)
	}
	return strings.Join(all, ", ")
}

// bench holds what the scenarios share.
type bench struct {
	// binary is the coracle to run.
	binary string
	// library runs workloads on cluster.Start in this process, for profiles.
	library bool
	// kubeconfig leads to a server that runs already.
	kubeconfig string
	// nodes and pods of the scenario scale.
	nodes, pods int
	out         *json.Encoder
	// keep takes figures in place of out, if it is set.
	keep func(name, unit string, values []float64)
}

// figure is one line of output.
type figure struct {
	Name  string   `json:"name"`
	Value float64  `json:"value"`
	Unit  string   `json:"unit"`
	Goal  *float64 `json:"goal"`
	Min   float64  `json:"min"`
	Max   float64  `json:"max"`
	Runs  int      `json:"runs"`
}

// none is the goal of a figure that has none.
const none = 0

// report prints the median of the values.
func (b *bench) report(name, unit string, goal float64, values ...float64) {
	if b.keep != nil {
		b.keep(name, unit, values)
		return
	}
	slices.Sort(values)
	f := figure{Name: name, Value: round(values[len(values)/2]), Unit: unit, Min: round(values[0]), Max: round(values[len(values)-1]), Runs: len(values)}
	if goal != none {
		f.Goal = &goal
	}
	_ = b.out.Encode(f) // the reader of the pipe may be gone
}

// round keeps what a reader wants to see.
func round(v float64) float64 {
	unit := 1000.0
	if v >= 100 {
		unit = 1
	}
	return float64(int64(v*unit+0.5)) / unit
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench: "+err.Error())
		os.Exit(1)
	}
}

func run() error {
	b := &bench{out: json.NewEncoder(os.Stdout)}
	only := flag.String("run", "", "run the scenarios whose name matches this regular expression; without it all but scale, which takes many minutes:\n"+names())
	flag.IntVar(&b.nodes, "nodes", 5000, "simulated nodes of the scenario scale")
	flag.IntVar(&b.pods, "pods", 50000, "pods of the scenario scale")
	flag.StringVar(&b.binary, "coracle", "bin/coracle", "the built binary")
	flag.BoolVar(&b.library, "library", false, "run workloads on cluster.Start in this process, for profiles")
	flag.StringVar(&b.kubeconfig, "running", "", "measure requests, watch and fairness of the server that this kubeconfig leads to, such as upstream's, instead of -coracle")
	with := flag.String("with", "", "another binary: run each scenario with both in turn, and print ratios")
	rounds := flag.Int("rounds", 3, "how often in turn, with -with")
	cpu := flag.String("cpuprofile", "", "write a CPU profile of this process")
	flag.Parse()
	match, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("reading -run: %w", err)
	}
	if _, err := os.Stat(b.binary); err != nil && b.kubeconfig == "" {
		return fmt.Errorf("finding the binary: %w (run make build, or name one with -coracle)", err)
	}
	// A library's log lines in this process are no figures.
	ctrllog.SetLogger(logr.Discard())
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	logging := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(logging)
	_ = logging.Set("stderrthreshold", "FATAL") // a flag that klog has
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if *cpu != "" {
		file, err := os.Create(*cpu)
		if err != nil {
			return fmt.Errorf("creating the profile: %w", err)
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return fmt.Errorf("starting the profile: %w", err)
		}
		defer pprof.StopCPUProfile()
	}
	for _, s := range scenarios() {
		if !match.MatchString(s.name) || s.large && *only == "" || ctx.Err() != nil {
			continue
		}
		run := s.run
		if *with != "" {
			run = func(ctx context.Context, b *bench) error { return b.compare(ctx, s, *with, *rounds) }
		}
		if err := run(ctx, b); err != nil {
			_ = b.out.Encode(map[string]string{"name": s.name, "error": err.Error()})
		}
	}
	return ctx.Err()
}
