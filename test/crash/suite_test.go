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
//
// How far the process came until it was killed is up to the machine; so the same
// seed strikes near the same points, not at the same.
package crash

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/coracle-k8s/coracle/test/env"
)

var (
	rounds = flag.Int("rounds", 2, "how many rounds")
	first  = flag.Int("first", 1, "the first round's number")
	seed   = flag.Uint64("seed", 0, "what all rounds are drawn from; 0 takes the time")
	keep   = flag.String("keep", "", "directory to keep the data of rounds that fail in")
)

func TestCrash(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano() % 1_000_000)
	}
	fmt.Printf("crash rounds %d to %d of seed %d\n", *first, *first+*rounds-1, *seed)
	// What the clients' library says of broken connections is no news here.
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
			p := draw(*seed, number)
			m, err := newMachine(binary, GinkgoTB().TempDir(), p.Nodes)
			Expect(err).NotTo(HaveOccurred())
			defer m.close()
			begun := time.Now()
			r := &round{p: &p, m: m, u: newUser(m)}
			odd, err := r.run(ctx)
			story := fmt.Sprintf("%s; took %.1f s", r, time.Since(begun).Seconds())
			fmt.Println(story)
			if err != nil || len(odd) > 0 {
				m.close()
				keepData(m, number)
				Fail(fmt.Sprintf("%s\nplan %+v\nerror: %v\n%s\nthe last that coracle said:\n%s", story, p, err, strings.Join(odd, "\n"), m.lastWords(60)))
			}
		}, SpecTimeout(5*time.Minute))
	}
})

// keepData saves a failed round's data directory and log.
func keepData(m *machine, number int) {
	if *keep == "" {
		return
	}
	to := filepath.Join(*keep, fmt.Sprintf("seed-%d-round-%d", *seed, number))
	Expect(os.RemoveAll(to)).To(Succeed())
	Expect(os.CopyFS(to, os.DirFS(m.dir))).To(Succeed())
	fmt.Println("kept in", to)
}
