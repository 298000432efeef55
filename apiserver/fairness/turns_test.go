package fairness

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/storage"
	fcrequest "k8s.io/apiserver/pkg/util/flowcontrol/request"
)

// TestOrderOfTurns has requests wait, which come in another order than they arrived.
func TestOrderOfTurns(t *testing.T) {
	for name, c := range map[string]struct{ arrive, wait, want string }{
		"users one after the other": {"a1 a2 a3 a4 b1 b2 c1", "a1 a2 a3 a4 b1 b2 c1", "a1 b1 c1 a2 b2 a3 a4"},
		"the oldest of a user":      {"a1 a2 b1 a3", "a3 b1 a2 a1", "a1 b1 a2 a3"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				turns := newTurns(1)
				tickets := map[string]*ticket{}
				for _, k := range strings.Fields(c.arrive) {
					tickets[k] = turns.arrive(k[:1])
				}
				first := turns.arrive("first")
				first.take(t.Context())
				var mu sync.Mutex
				var order []string
				var done sync.WaitGroup
				for _, k := range strings.Fields(c.wait) {
					done.Go(func() {
						tickets[k].take(t.Context())
						mu.Lock()
						order = append(order, k)
						mu.Unlock()
						tickets[k].give()
					})
					synctest.Wait()
				}
				first.give()
				done.Wait()
				if want := strings.Fields(c.want); !slices.Equal(order, want) {
					t.Errorf("turns: %v, want %v", order, want)
				}
				checkFree(t, turns, 1)
			})
		})
	}
}

// TestTurnsEnd has a turn that is not given back, and a request that ends.
func TestTurnsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		stuck, next := turns.arrive("stuck"), turns.arrive("next")
		stuck.take(t.Context())
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		turns.arrive("gone").take(gone)
		begun := time.Now()
		next.take(t.Context())
		if time.Since(begun) != turnLimit {
			t.Errorf("waited %v for a turn that was not given back", time.Since(begun))
		}
		stuck.give()
		next.give()
		next.give()
		checkFree(t, turns, 1)
	})
}

func checkFree(t *testing.T, turns *turns, n int) {
	t.Helper()
	if turns.free != n || len(turns.users) != 0 || len(turns.waiting) != 0 {
		t.Errorf("all have given back: %+v", turns)
	}
}

func listOf(who, query string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/api/v1/pods?"+query, nil)
	ctx := request.WithRequestInfo(r.Context(), &request.RequestInfo{IsResourceRequest: true, Verb: "list", Resource: "pods"})
	return r.WithContext(request.WithUser(ctx, &user.DefaultInfo{Name: who}))
}

func sized(objects, bytes int64) func(string) (storage.Stats, error) {
	return func(resource string) (storage.Stats, error) {
		if resource != "pods" {
			return storage.Stats{}, fcrequest.ObjectCountNotFoundErr
		}
		return storage.Stats{ObjectCount: objects, EstimatedAverageObjectSizeBytes: bytes}, nil
	}
}

func TestLarge(t *testing.T) {
	f := New(nil, sized(2000, 1000))
	for name, c := range map[string]struct {
		change func(*request.RequestInfo)
		query  string
		want   bool
	}{
		"all":               {func(*request.RequestInfo) {}, "", true},
		"a page":            {func(*request.RequestInfo) {}, "limit=500", true},
		"a few":             {func(*request.RequestInfo) {}, "limit=10", false},
		"one by its name":   {func(i *request.RequestInfo) { i.Name = "a" }, "", false},
		"a watch":           {func(i *request.RequestInfo) { i.Verb = "watch" }, "", false},
		"another's":         {func(i *request.RequestInfo) { i.Resource = "unknown" }, "", false},
		"not of a resource": {func(i *request.RequestInfo) { i.IsResourceRequest = false }, "", false},
	} {
		r := listOf("u", c.query)
		info, _ := request.RequestInfoFrom(r.Context())
		c.change(info)
		if got := f.large(r); got != c.want {
			t.Errorf("%s: large is %v", name, got)
		}
	}
}

// slow is a client that does not read: it holds up every write until release.
type slow struct {
	*httptest.ResponseRecorder
	writing chan<- string
	release <-chan struct{}
	who     string
}

func (s slow) Write(p []byte) (int, error) {
	s.writing <- s.who
	<-s.release
	return s.ResponseRecorder.Write(p)
}

// TestLargeListsComputeOneByOne counts the handlers that compute at once, while
// clients that do not read have answers written to them.
func TestLargeListsComputeOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const requests, pieces = 40, 5
		var mu sync.Mutex
		computing, most := 0, 0
		f := New(nil, sized(2000, 1000))
		h := f.inTurns(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusOK)
			for range pieces {
				mu.Lock()
				computing++
				most = max(most, computing)
				mu.Unlock()
				time.Sleep(time.Millisecond) //nolint:forbidigo // in a bubble of synctest
				mu.Lock()
				computing--
				mu.Unlock()
				fmt.Fprint(w, strings.Repeat("x", piece+1))
			}
		}), time.Minute)
		writing, release := make(chan string, requests*pieces), make(chan struct{})
		stuck := slow{httptest.NewRecorder(), writing, release, "stuck"}
		var done, stalled sync.WaitGroup
		stalled.Go(func() { h.ServeHTTP(stuck, listOf("stuck", "")) })
		synctest.Wait()
		begun := time.Now()
		for i := range requests {
			done.Go(func() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, listOf(fmt.Sprintf("user-%d", i%3), ""))
				if w.Body.Len() != pieces*(piece+1) {
					t.Errorf("the answer has %d bytes", w.Body.Len())
				}
			})
		}
		done.Wait()
		if most > processors() {
			t.Errorf("%d lists computed at once on %d processors", most, processors())
		}
		if took := time.Since(begun); took > requests*pieces*time.Millisecond+2*time.Millisecond {
			t.Errorf("took %v: a client that does not read held a turn", took)
		}
		close(release)
		stalled.Wait()
	})
}

// TestTooManyLists has one user ask for more than may wait, and wait in vain.
func TestTooManyLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		f := New(nil, sized(2000, 1000))
		h := f.inTurns(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }), turnLimit/2)
		codes := map[int]int{}
		var mu sync.Mutex
		var done sync.WaitGroup
		ask := func(who string) {
			done.Go(func() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, listOf(who, ""))
				mu.Lock()
				defer mu.Unlock()
				codes[w.Code]++
				if w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") != "1" {
					t.Error("the client is not told when to come again")
				}
			})
			synctest.Wait()
		}
		for range processors() + maxWaiting {
			ask("noisy")
		}
		if len(codes) != 0 {
			t.Errorf("all have a turn or wait: %v", codes)
		}
		ask("noisy")
		if codes[http.StatusTooManyRequests] != 1 {
			t.Errorf("one more than may wait: %v", codes)
		}
		ask("quiet")
		if len(codes) != 1 || codes[http.StatusTooManyRequests] != 1 {
			t.Errorf("another user may wait: %v", codes)
		}
		time.Sleep(turnLimit / 2) //nolint:forbidigo // in a bubble of synctest
		synctest.Wait()
		if n := codes[http.StatusTooManyRequests]; n != 1+maxWaiting+1 {
			t.Errorf("%d of those that waited in vain were rejected", n)
		}
		close(end)
		done.Wait()
	})
}
