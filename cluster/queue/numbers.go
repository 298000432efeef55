package queue

import "time"

// bounds of the histograms in seconds, upstream's: ten nanoseconds to ten
// seconds, each ten times the one before.
var bounds = [...]float64{1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10}

// Histogram counts durations.
type Histogram struct {
	// Count of all durations, and their Sum.
	Count uint64
	Sum   time.Duration
	below [len(bounds)]uint64
}

func (h *Histogram) observe(d time.Duration) {
	h.Count++
	h.Sum += d
	bound := 10 * time.Nanosecond
	for i := range h.below {
		if d <= bound {
			h.below[i]++
			return
		}
		bound *= 10
	}
}

func (h Histogram) plus(g Histogram) Histogram {
	h.Count, h.Sum = h.Count+g.Count, h.Sum+g.Sum
	for i := range h.below {
		h.below[i] += g.below[i]
	}
	return h
}

// Buckets returns the numbers of durations of at most so many seconds.
func (h *Histogram) Buckets() map[float64]uint64 {
	buckets, sum := make(map[float64]uint64, len(bounds)), uint64(0)
	for i, n := range h.below {
		sum += n
		buckets[bounds[i]] = sum
	}
	return buckets
}

type counts struct {
	adds, retries  uint64
	queued, worked Histogram
	active         time.Time
}

// Numbers holds a queue's gauges and counters.
type Numbers struct {
	// Ready items wait for a worker, Delayed ones for their time, and Busy ones
	// are with a worker. An item may be busy and ready, or busy and delayed.
	Ready   int `json:"ready"`
	Delayed int `json:"delayed"`
	Busy    int `json:"busy"`
	// Adds is how often an item became ready, Retries how often one was delayed.
	Adds    uint64 `json:"adds"`
	Retries uint64 `json:"retries"`
	// Queued is how long items were ready before a worker had them, Worked how
	// long workers had them.
	Queued Histogram `json:"-"`
	Worked Histogram `json:"-"`
	// Unfinished is the time that workers have spent on what they work on now,
	// Longest the longest of it.
	Unfinished time.Duration `json:"-"`
	Longest    time.Duration `json:"-"`
	// Active is when a worker last took or finished something; zero if never.
	Active time.Time `json:"active,omitzero"`
}

// Plus returns the numbers of two queues together.
func (n Numbers) Plus(m Numbers) Numbers {
	n.Ready, n.Delayed, n.Busy = n.Ready+m.Ready, n.Delayed+m.Delayed, n.Busy+m.Busy
	n.Adds, n.Retries = n.Adds+m.Adds, n.Retries+m.Retries
	n.Queued, n.Worked = n.Queued.plus(m.Queued), n.Worked.plus(m.Worked)
	n.Unfinished, n.Longest = n.Unfinished+m.Unfinished, max(n.Longest, m.Longest)
	if m.Active.After(n.Active) {
		n.Active = m.Active
	}
	return n
}

// Idle reports whether there is nothing to do before some delay is over.
func (n Numbers) Idle() bool { return n.Ready == 0 && n.Busy == 0 }

// Numbers returns the queue's present numbers.
func (q *Queue[T]) Numbers() Numbers {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := Numbers{
		Ready: len(q.ready) + q.parked, Busy: len(q.busy), Delayed: len(q.items) - len(q.ready) - q.parked,
		Adds: q.counts.adds, Retries: q.counts.retries, Queued: q.counts.queued, Worked: q.counts.worked, Active: q.counts.active,
	}
	now := time.Now()
	for _, started := range q.busy {
		d := now.Sub(started)
		n.Unfinished += d
		n.Longest = max(n.Longest, d)
	}
	return n
}
