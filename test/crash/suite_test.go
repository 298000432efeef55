// Package crash kills the process of a cluster, again and again, at random points
// of everything that controllers do, and compares the end with what must be
// there: whatever was under way goes on after the next start, counts once, and
// leaves nothing.
//
// A round is a fresh cluster with simulated nodes. Its plan - what is asked for,
// when, and when the process is killed - is drawn from a seed and the round's
// number, which every report names:
//
//	go test ./test/crash -args -rounds 50 -seed 7
//	go test ./test/crash -args -rounds 1 -seed 7 -first 12    # round 12 again
//	go test ./test/crash -args -rounds 0 -pairs 10 -seed 7    # two servers, one etcd
//
// How far the process came until it was killed is up to the machine; so the same
// seed strikes near the same points, not at the same.
package crash

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/coracle-k8s/coracle/apiserver/etcd"
	"github.com/coracle-k8s/coracle/test/env"
)

var (
	rounds = flag.Int("rounds", 2, "how many rounds")
	pairs  = flag.Int("pairs", 0, "how many rounds of two servers with one etcd")
	first  = flag.Int("first", 1, "the first round's number")
	seed   = flag.Uint64("seed", 0, "what all rounds are drawn from; 0 takes the time")
	keep   = flag.String("keep", "", "directory to keep the data of rounds that fail in")
)

func TestCrash(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano() % 1_000_000)
	}
	fmt.Printf("crash rounds %d to %d of seed %d\n", *first, *first+*rounds-1, *seed)
	// The clients' library's log lines about broken connections are expected here.
	logs := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(logs)
	_ = logs.Set("stderrthreshold", "FATAL") // a flag that klog has
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	ctrllog.SetLogger(klog.Background())
	RegisterFailHandler(Fail)
	RunSpecs(t, "crash")
}

var binary string

var _ = BeforeSuite(func() { binary = env.Build(GinkgoTB()) })

var _ = Describe("a cluster whose process is killed", func() {
	for number := *first; number < *first+*rounds; number++ {
		It(fmt.Sprintf("ends as it must, round %d", number), func(ctx SpecContext) {
			p, dir := draw(*seed, number, 1), GinkgoTB().TempDir()
			m, err := newMachine(binary, dir, p.Nodes, "")
			Expect(err).NotTo(HaveOccurred())
			defer m.close()
			try(ctx, &round{p: &p, machines: []*machine{m}, etcd: etcd.Config{Dir: filepath.Join(dir, "data", "etcd")}})
		}, SpecTimeout(5*time.Minute))
	}
})

// shared makes servers share an etcd, and fight for what one does for all in
// less than the usual time.
const shared = `storage: {endpoints: ["http://%s"]}
leaderElection: {leaseDuration: 3s, renewDeadline: 2s, retryPeriod: 200ms}
`

var _ = Describe("a cluster of two servers that are killed", func() {
	for number := *first; number < *first+*pairs; number++ {
		It(fmt.Sprintf("ends as it must, round %d", number), func(ctx SpecContext) {
			p, address := draw(*seed, number, 2), startEtcd()
			var machines []*machine
			for i := range 2 {
				m, err := newMachine(binary, GinkgoTB().TempDir(), p.Nodes*(1-i), fmt.Sprintf(shared, address))
				Expect(err).NotTo(HaveOccurred())
				defer m.close()
				machines = append(machines, m)
			}
			try(ctx, &round{p: &p, machines: machines, etcd: etcd.Config{Endpoints: []string{"http://" + address}}})
		}, SpecTimeout(5*time.Minute))
	}
})

// startEtcd runs an etcd until the spec ends, and returns its address.
func startEtcd() string {
	GinkgoHelper()
	config := embed.NewConfig()
	config.Dir, config.LogLevel, config.LogOutputs = GinkgoTB().TempDir(), "panic", []string{"/dev/null"}
	local := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config.ListenClientUrls, config.ListenPeerUrls = local, local
	e, err := embed.StartEtcd(config)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(e.Close)
	Eventually(e.Server.ReadyNotify()).WithTimeout(time.Minute).Should(BeClosed(), "etcd is ready")
	return e.Clients[0].Addr().String()
}

// try runs a round and reports it.
func try(ctx context.Context, r *round) {
	GinkgoHelper()
	begun := time.Now()
	r.u = newUser(r.machines...)
	odd, err := r.run(ctx)
	story := fmt.Sprintf("%s; took %.1f s", r, time.Since(begun).Seconds())
	fmt.Println(story)
	if err == nil && len(odd) == 0 {
		return
	}
	last := ""
	for i, m := range r.machines {
		m.close()
		keepData(m, r.p.Round, i)
		last += fmt.Sprintf("the last that server %d said:\n%s\n", i, m.lastWords(60))
	}
	Fail(fmt.Sprintf("%s\nplan %+v\nerror: %v\n%s\n%s", story, *r.p, err, strings.Join(odd, "\n"), last))
}

// keepData saves a failed round's data directory and log.
func keepData(m *machine, number, server int) {
	if *keep == "" {
		return
	}
	to := filepath.Join(*keep, fmt.Sprintf("seed-%d-round-%d-server-%d", *seed, number, server))
	Expect(os.RemoveAll(to)).To(Succeed())
	Expect(os.CopyFS(to, os.DirFS(m.dir))).To(Succeed())
	fmt.Println("kept in", to)
}
