package fairness

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// turnLimit is the time for which a request keeps a turn. A piece of an answer takes a
	// millisecond; what takes longer waits for something, such as a seat or a storage
	// that does not answer, and others go on beside it.
	turnLimit = time.Second
	// maxWaiting is how many requests of one user wait for their first turn, as many
	// as the queues of a user's hand hold in a default priority level.
	maxWaiting = 300
)

// turns lets a few requests compute at once, one piece of work each.
//
// Priority and fairness counts requests, not processors: many large lists have
// seats at the same time. Each of them keeps a processor for as long as the Go
// scheduler lets it, 10 ms, so a request that needs one for a moment waits for all
// of them, several times over; and together they keep all seats of their level for
// seconds, which a queue pays for only when they end.
//
// Users have turns one after the other. Of one user's requests the oldest comes
// first, so that they end one by one.
type turns struct {
	mu      sync.Mutex
	free    int
	arrived uint64
	// users wait, the next one first; waiting are their requests, oldest first.
	users   []string
	waiting map[string][]*ticket
}

func newTurns(n int) *turns { return &turns{free: n, waiting: map[string][]*ticket{}} }

// ticket is a request that takes turns. All but its constants is under the lock
// of turns.
type ticket struct {
	turns   *turns
	user    string
	arrived uint64

	held    bool
	granted chan struct{} // closed when a turn that it waits for comes
	limit   *time.Timer
}

// arrive returns the ticket of a new request.
func (t *turns) arrive(user string) *ticket {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.arrived++
	return &ticket{turns: t, user: user, arrived: t.arrived}
}

// begin waits for the first turn, and reports whether it came: not when too many
// requests of the user wait already, nor when ctx was done before.
func (k *ticket) begin(ctx context.Context) bool {
	k.turns.mu.Lock()
	full := len(k.turns.waiting[k.user]) >= maxWaiting
	k.turns.mu.Unlock()
	return !full && k.take(ctx)
}

// take waits for a turn and reports whether it came before ctx was done.
func (k *ticket) take(ctx context.Context) bool {
	t := k.turns
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		k.hold()
		t.mu.Unlock()
		return true
	}
	granted := make(chan struct{})
	k.granted = granted
	of := t.waiting[k.user]
	if len(of) == 0 {
		t.users = append(t.users, k.user)
	}
	at, _ := slices.BinarySearchFunc(of, k.arrived, func(k *ticket, arrived uint64) int { return int(int64(k.arrived) - int64(arrived)) })
	t.waiting[k.user] = slices.Insert(of, at, k)
	t.mu.Unlock()
	select {
	case <-granted:
		return true
	case <-ctx.Done():
		return !k.withdraw()
	}
}

// hold gives k the turn that was taken for it.
func (k *ticket) hold() {
	k.held = true
	if k.limit == nil {
		k.limit = time.AfterFunc(turnLimit, k.give)
	} else {
		k.limit.Reset(turnLimit)
	}
}

// withdraw ends the wait for a turn and reports whether it had not come.
func (k *ticket) withdraw() bool {
	t := k.turns
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiting[k.user], k)
	if i < 0 {
		return false
	}
	t.waiting[k.user] = slices.Delete(t.waiting[k.user], i, i+1)
	if len(t.waiting[k.user]) == 0 {
		delete(t.waiting, k.user)
		t.users = slices.DeleteFunc(t.users, func(u string) bool { return u == k.user })
	}
	return true
}

// give passes the turn of k on, if it has one.
func (k *ticket) give() {
	t := k.turns
	t.mu.Lock()
	defer t.mu.Unlock()
	if !k.held {
		return
	}
	k.held = false
	k.limit.Stop()
	if len(t.users) == 0 {
		t.free++
		return
	}
	user := t.users[0]
	t.users = t.users[1:]
	next := t.waiting[user][0]
	if t.waiting[user] = t.waiting[user][1:]; len(t.waiting[user]) > 0 {
		t.users = append(t.users, user)
	} else {
		delete(t.waiting, user)
	}
	next.hold()
	close(next.granted)
}
