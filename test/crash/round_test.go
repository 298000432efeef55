package crash

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apiserver/etcd"
)

// round is one plan carried out on one machine, or on several that share an etcd.
type round struct {
	p        *plan
	machines []*machine
	u        *user
	// etcd locates the history, once all machines are at rest.
	etcd  etcd.Config
	notes notes

	blows   []string // as they fell
	settled time.Duration
	// revisions is how many there were in all.
	revisions int
	state     *state // the last that was looked at
}

// limits of a round; on an idle machine each takes a few seconds. A difference
// that stays the same for stuckLimit will not change any more.
const (
	stuckLimit    = 30 * time.Second
	setUpLimit    = time.Minute
	underWayLimit = 2 * time.Minute
	settleLimit   = 90 * time.Second
)

// run carries the plan out and returns how the end differs from what it must be.
func (r *round) run(ctx context.Context) ([]string, error) {
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	if err := r.within(ctx, setUpLimit, r.before); err != nil {
		return nil, fmt.Errorf("before the first blow: %w", err)
	}
	if err := r.within(ctx, underWayLimit, r.underWay); err != nil {
		return nil, fmt.Errorf("among the blows: %w", err)
	}
	odd, err := r.settle(ctx)
	if err != nil || len(odd) > 0 {
		return odd, err
	}
	for _, m := range r.machines {
		if err := m.end(syscall.SIGTERM); err != nil {
			return nil, fmt.Errorf("at the end: %w", err)
		}
	}
	w := newWitness(r.p)
	left, err := historyOf(ctx, r.etcd, w.see)
	if err != nil {
		return nil, err
	}
	r.revisions = w.revisions
	return w.end(left), nil
}

// begin starts the machines. All but the first join its cluster.
func (r *round) begin(ctx context.Context) error {
	for i, m := range r.machines {
		if i > 0 {
			if _, err := r.machines[0].await(ctx); err != nil {
				return err
			}
			if err := m.join(r.machines[0]); err != nil {
				return err
			}
		}
		if err := m.begin(); err != nil {
			return err
		}
	}
	return nil
}

func (r *round) within(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx)
}

// before makes what is there before the first blow, and waits until its pods run.
func (r *round) before(ctx context.Context) error {
	if err := setUp(ctx, r.p, r.u); err != nil {
		return err
	}
	const others = 8 + 4 + 10 // fore, orphaned, cancelled
	const doomed = 12 + 3 + 6 + 1
	want := r.p.Web + r.p.Db + r.p.Keep + r.p.Nodes + others + doomed
	for {
		n := 0
		err := r.u.ask(ctx, "waiting for the first pods", func(ctx context.Context, c client.Client, _ bool) error {
			var pods corev1.PodList
			err := c.List(ctx, &pods)
			for i := range pods.Items {
				if ready(&pods.Items[i]) {
					n++
				}
			}
			return err
		})
		if err != nil {
			return err
		}
		if n >= want {
			return nil
		}
		if !pause(ctx, 30*time.Millisecond) {
			return fmt.Errorf("waiting for the first pods: %d of %d are ready", n, want)
		}
	}
}

// underWay lets users work while the process is ended and started again.
func (r *round) underWay(ctx context.Context) error {
	all, err := threads(r.p, r.u)
	if err != nil {
		return err
	}
	writer := make(chan error, 1)
	go func() { writer <- r.notes.write(ctx, r.u) }()
	// Its context ends with Wait; the writer does not.
	users, among := errgroup.WithContext(ctx)
	for name, steps := range all {
		users.Go(func() error {
			for _, s := range steps {
				if !pause(among, s.after) {
					return fmt.Errorf("%s: %w", name, among.Err())
				}
				if err := s.do(among); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
			return nil
		})
	}
	users.Go(func() error { return r.strike(among) })
	err = users.Wait()
	r.notes.stop.Store(true)
	if wrote := <-writer; err == nil {
		err = wrote
	}
	return err
}

// strike deals the plan's blows, a new life after each.
func (r *round) strike(ctx context.Context) error {
	for _, b := range r.p.Blows {
		m := r.machines[b.machine]
		if !b.starting {
			if _, err := m.await(ctx); err != nil {
				return err
			}
		}
		if !pause(ctx, b.after) {
			return ctx.Err()
		}
		r.blows = append(r.blows, b.String())
		if err := m.end(b.signal); err != nil {
			return err
		}
		if err := m.begin(); err != nil {
			return err
		}
	}
	for _, m := range r.machines {
		if _, err := m.await(ctx); err != nil {
			return err
		}
	}
	return nil
}

// settle waits until nothing differs from what must be, and stays so, and
// returns what still does.
func (r *round) settle(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	begun := time.Now()
	l, err := r.u.up(ctx)
	if err != nil {
		return nil, err
	}
	c, err := r.u.client(l)
	if err != nil {
		return nil, err
	}
	var last string
	var since time.Time
	for {
		odd, err := r.compare(ctx, c, l)
		if l.hasEnded() {
			return nil, fmt.Errorf("life %d ended by itself: %s", l.number, l.cmd.ProcessState)
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
		if err == nil && len(odd) == 0 {
			r.settled = time.Since(begun)
			return r.rests(ctx, l)
		}
		if now := strings.Join(odd, "\n"); now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) > stuckLimit || !pause(ctx, 100*time.Millisecond) {
			return append(odd, fmt.Sprintf("so since %.0f s, begun %.0f s ago", time.Since(since).Seconds(), time.Since(begun).Seconds())), nil
		}
	}
}

func (r *round) compare(ctx context.Context, c client.Client, l *life) ([]string, error) {
	s, err := look(ctx, c)
	if err != nil {
		return nil, err
	}
	r.state = s
	odd := append(differences(r.p, s), r.notes.differences(s.maps)...)
	if len(odd) > 0 {
		return odd, nil
	}
	if s.all, err = everything(ctx, l); err != nil {
		return nil, err
	}
	return differences(r.p, s), nil
}

// rests waits until nothing is written any more, and returns what is written on
// and on.
func (r *round) rests(ctx context.Context, l *life) ([]string, error) {
	var odd []string
	for range 20 {
		before := versions(r.state.all)
		if !pause(ctx, 300*time.Millisecond) {
			return nil, ctx.Err()
		}
		all, err := everything(ctx, l)
		if err != nil {
			return nil, err
		}
		odd = nil
		for name, version := range versions(all) {
			if before[name] != version {
				odd = append(odd, "is written again and again: "+name)
			}
		}
		r.state.all = all
		if len(odd) == 0 {
			for _, harm := range unnoticed(r.p, r.state) {
				odd = append(odd, "the oracle does not notice "+harm)
			}
			return append(odd, differences(r.p, r.state)...), nil
		}
	}
	return odd, nil
}

// versions returns the versions of all objects but those that are written periodically.
func versions(all []object) map[string]string {
	versions := map[string]string{}
	for _, o := range all {
		if o.Resource != "leases" && o.Resource != "events" {
			versions[o.String()] = o.ResourceVersion
		}
	}
	return versions
}

func (r *round) String() string {
	return fmt.Sprintf("seed %d round %d: %d lives, %s; %d writes acknowledged, %d in all; settled %.1f s after the last start", r.p.Seed, r.p.Round, len(r.blows)+1, strings.Join(r.blows, ", "), r.notes.writes, r.revisions, r.settled.Seconds())
}
