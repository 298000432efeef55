package crash

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// plan is everything a round draws from its seed: what is asked for, and when
// the process is killed.
type plan struct {
	Seed  uint64
	Round int

	Machines, Nodes  int
	Surge            int
	Unavailable      int
	Web, WebLast     int // replicas, before and at the end
	Db, DbMid, DbEnd int
	Keep, KeepMid    int
	KeepEnd          int
	Parallelism      int
	Failing          string // indexes
	Ships            []int
	Blows            []blow

	rand *rand.Rand
}

// blow ends a life.
type blow struct {
	machine int // of those there are
	signal  syscall.Signal
	// starting is a blow that counts from the start of the process; others
	// count from when it is ready.
	starting bool
	after    time.Duration
}

func (b blow) String() string {
	since := "ready"
	if b.starting {
		since = "begun"
	}
	return fmt.Sprintf("server %d %s %d ms after being %s", b.machine, b.signal, b.after.Milliseconds(), since)
}

// draw returns the plan of a round; the same seed and round always give the same.
func draw(seed uint64, round, machines int) plan {
	r := rand.New(rand.NewPCG(seed, uint64(round)))
	between := func(low, high int) int { return low + r.IntN(high-low+1) }
	p := plan{Seed: seed, Round: round, rand: r, Machines: machines, Nodes: 6, Ships: []int{0, 1, 2, 3, 4, 5}}
	p.Web, p.WebLast = between(6, 14), between(4, 18)
	p.Surge, p.Unavailable = between(1, 4), between(0, 3)
	p.Db, p.DbMid, p.DbEnd = between(2, 4), between(5, 7), between(1, 4)
	p.Keep, p.KeepMid, p.KeepEnd = between(1, 3), between(4, 6), between(0, 3)
	p.Parallelism = between(20, 60)
	p.Failing = failing(r)
	for range between(4, 6) {
		b := drawBlow(r)
		if machines > 1 {
			b.machine = r.IntN(machines)
		}
		p.Blows = append(p.Blows, b)
	}
	return p
}

func failing(r *rand.Rand) string {
	indexes := r.Perm(20)[:1+r.IntN(4)]
	slices.Sort(indexes)
	var text []string
	for _, i := range indexes {
		text = append(text, strconv.Itoa(i))
	}
	return strings.Join(text, ",")
}

// drawBlow returns mostly kill -9 while everything is under way, sometimes
// within the start, now and then SIGTERM.
func drawBlow(r *rand.Rand) blow {
	b := blow{signal: syscall.SIGKILL, after: time.Duration(r.ExpFloat64() * 600 * float64(time.Millisecond))}
	switch r.IntN(10) {
	case 0, 1:
		b.starting, b.after = true, time.Duration(r.IntN(350))*time.Millisecond
	case 2:
		b.signal = syscall.SIGTERM
	}
	b.after = min(b.after, 2*time.Second)
	return b
}

// pause returns a random time between two steps of a user.
func (p *plan) pause(mean time.Duration) time.Duration {
	return time.Duration(min(p.rand.ExpFloat64(), 4) * float64(mean))
}

//go:embed testdata
var manifests embed.FS

// objects returns the objects of a manifest.
func (p *plan) objects(name string) ([]*unstructured.Unstructured, error) {
	t, err := template.ParseFS(manifests, "testdata/"+name+".yaml.tmpl")
	if err != nil {
		return nil, fmt.Errorf("reading manifest %s: %w", name, err)
	}
	var text bytes.Buffer
	if err := t.Execute(&text, p); err != nil {
		return nil, fmt.Errorf("filling manifest %s: %w", name, err)
	}
	var objects []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(&text, 1<<12); ; {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(o)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decoding manifest %s: %w", name, err)
		}
		if len(o.Object) > 0 {
			objects = append(objects, o)
		}
	}
}
